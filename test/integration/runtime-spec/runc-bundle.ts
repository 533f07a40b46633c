import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { removeCgroup } from '@longshore/linux';
import { busyboxLayer, guard, makeTar, toolchain } from '@longshore/local';
import { encodeSpec, type RuntimeSpec } from '@longshore/oci/runtime-spec';

/** A root file system with busybox, and runc to run commands in it, as a shim would run it. */
export class RuncBundle implements AsyncDisposable {
  readonly cgroupParent = `/longshore-test-${randomBytes(4).toString('hex')}`;
  readonly rootfs: string;
  readonly #directory = mkdtempSync(join(tmpdir(), 'longshore-bundle-'));
  readonly #runc: string;
  readonly #ids: string[] = [];

  static async open(): Promise<RuncBundle> {
    const bundle = new RuncBundle((await toolchain()).binaries.runc);
    mkdirSync(bundle.rootfs);
    execFileSync('tar', ['-x', '-C', bundle.rootfs], { input: makeTar(await busyboxLayer()) });
    return bundle;
  }

  constructor(runc: string) {
    this.#runc = runc;
    this.rootfs = join(this.#directory, 'rootfs');
    guard().removeWithUs(this.#directory);
  }

  /** Runs a spec to its end, or until `close` of its stdin lets it end. */
  start(id: string, spec: RuntimeSpec): ChildProcess {
    this.#ids.push(id);
    writeFileSync(join(this.#directory, 'config.json'), encodeSpec(spec));
    return spawn(this.#runc, this.#words('run', '--bundle', this.#directory, id), { stdio: 'pipe' });
  }

  async run(id: string, spec: RuntimeSpec): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const child = this.start(id, spec);
    child.stdin!.end();
    const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    const [stdout, stderr, code] = await Promise.all([text(child.stdout!), text(child.stderr!), exited]);
    return { code, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of this.#ids) execFileSync(this.#runc, this.#words('delete', '--force', id));
    await removeCgroup(this.cgroupParent);
    rmSync(this.#directory, { recursive: true });
  }

  #words(...args: string[]): string[] {
    return ['--root', join(this.#directory, 'state'), ...args];
  }
}
