import { invalidArgument, messageOf } from '@longshore/errors';
import type { ProcessSpec, RuntimeSpec } from '@longshore/oci/runtime-spec';
import { parseLossless } from '../tasks/lossless-json.ts';

export interface TerminalSize {
  width: number;
  height: number;
}

/** What an exec has other than its container's first process; empty for the same. */
export interface WantedProcess {
  args: readonly string[];
  /** `NAME=value`. */
  env: readonly string[];
  cwd: string;
  user: string;
  terminal: boolean;
  size?: TerminalSize | undefined;
}

/** As containerd's clients give to terminals. */
const TERM = 'TERM=xterm';

/**
 * The `Process` of the OCI runtime spec for an exec: that of the container, changed; its capabilities, limits and labels stay. Throws
 * InvalidArgument without args, and what `userOf` does.
 */
export function execProcess(
  containerSpec: Uint8Array,
  wanted: WantedProcess,
  userOf: (text: string) => NonNullable<ProcessSpec['user']>,
): Uint8Array {
  const { args, env, cwd, user, terminal, size } = wanted;
  if (args.length === 0) throw invalidArgument('exec without args');
  const own = parse(containerSpec).process ?? { cwd: '/' };
  const { consoleSize: _, ...inherited } = own;
  const process: ProcessSpec = {
    ...inherited,
    terminal,
    args: [...args],
    env: withEnv([...(terminal ? [TERM] : []), ...(own.env ?? [])], env),
    cwd: cwd || own.cwd,
    ...(user !== '' && { user: userOf(user) }),
    ...(terminal && size && { consoleSize: { width: size.width, height: size.height } }),
  };
  return new TextEncoder().encode(JSON.stringify(process));
}

/** Where a container with this spec has its root file system: absolute, or below its bundle. */
export function rootPath(containerSpec: Uint8Array): string | undefined {
  return parse(containerSpec).root?.path;
}

/** Whether the first process of a container with this spec has a terminal. Throws InvalidArgument for what is no spec. */
export function hasTerminal(containerSpec: Uint8Array): boolean {
  return parse(containerSpec).process?.terminal === true;
}

/** The last word on a name is the one that counts. */
function withEnv(own: readonly string[], added: readonly string[]): string[] {
  const byName = new Map([...own, ...added].map((pair) => [pair.split('=', 1)[0], pair]));
  return [...byName.values()];
}

function parse(spec: Uint8Array): Partial<RuntimeSpec> {
  try {
    return (parseLossless(new TextDecoder().decode(spec)) as RuntimeSpec | null) ?? {};
  } catch (error) {
    throw invalidArgument(`spec is no JSON document: ${messageOf(error)}`, { cause: error });
  }
}
