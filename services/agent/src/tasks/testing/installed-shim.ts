import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const STAND_IN = fileURLToPath(new URL('shim-2-3.ts', import.meta.url));

/** The environment of a node whose PATH has, first, `name` for what is at `target`. Until the test ends. */
export function withProgram(name: string, target: string): NodeJS.ProcessEnv {
  const directory = scratch();
  symlinkSync(target, join(directory, name));
  return { ...process.env, PATH: `${directory}${delimiter}${process.env.PATH}` };
}

/** The path of a script with the given words, which can be run. Until the test ends. */
export function script(name: string, words: string): string {
  const path = join(scratch(), name);
  writeFileSync(path, `#!/bin/sh\n${words}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A shim that sees, with all that it runs, a hierarchy of cgroup v2 alone. */
export function onUnifiedCgroups(realShim: string): string {
  const mount = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup';
  return script(
    'containerd-shim-runc-v2',
    `exec unshare --mount sh -c '${mount} && exec ${realShim} "$@"' shim "$@"`,
  );
}

/** A shim that understands what those of containerd 2.3 do, over a real, older one. */
export function shimOf23(realShim: string): string {
  return script('containerd-shim-runc-v2', `exec '${process.execPath}' '${STAND_IN}' '${realShim}' "$@"`);
}

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'installed-shim-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
