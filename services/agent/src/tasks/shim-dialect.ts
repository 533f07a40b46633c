import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { messageOf } from '@longshore/errors';
import { runShimCommand } from './shim-command.ts';

/** What a shim reads when it starts: a bare `Any` with its options, or, since containerd 2.3, `BootstrapParams`. */
export type ShimDialect = 'any' | 'params';

/** They were never taught the new one. Source: containerd core/runtime/v2/binary.go. */
const ALWAYS_ANY = /shim-(runc|runhcs)-v1/;
const FIRST_WITH_PARAMS = [2, 3] as const;
const VERSION_TIMEOUT_MS = 5_000;

/** Go shims of 2.3 name the deprecated API; older ones take the first field of the parameters for a type's name. */
const MISUNDERSTOOD = /deprecated API|bootstrap|type with url|unmarshal|decode/i;

type Environment = Readonly<Record<string, string | undefined>>;

/** Which dialect each shim binary speaks. A binary that is replaced is asked again. */
export class ShimDialects {
  readonly #known = new Map<string, { file: string; dialect: Promise<ShimDialect> }>();

  /** By what the binary says of its version; one that does not say speaks the older. */
  of(binary: string, env: Environment): Promise<ShimDialect> {
    const file = fileOf(binary);
    const known = this.#known.get(binary);
    if (known?.file === file) return known.dialect;
    const dialect = ask(binary, env);
    this.#known.set(binary, { file, dialect });
    return dialect;
  }

  /**
   * Starts a shim in its dialect. A version may be another count than containerd's: when the shim does not understand,
   * it is started once more in the other dialect, since a failed start leaves nothing behind.
   */
  async start<T>(binary: string, env: Environment, start: (dialect: ShimDialect) => Promise<T>): Promise<T> {
    const dialect = await this.of(binary, env);
    try {
      return await start(dialect);
    } catch (error) {
      if (ALWAYS_ANY.test(basename(binary)) || !MISUNDERSTOOD.test(messageOf(error))) throw error;
      const other = dialect === 'any' ? 'params' : 'any';
      const started = await start(other).catch(() => {
        throw error;
      });
      this.#known.set(binary, { file: fileOf(binary), dialect: Promise.resolve(other) });
      return started;
    }
  }
}

async function ask(binary: string, env: Environment): Promise<ShimDialect> {
  if (ALWAYS_ANY.test(basename(binary))) return 'any';
  const { stdout } = await runShimCommand({ binary, args: ['-v'], env, timeoutMs: VERSION_TIMEOUT_MS });
  const [, major = 0, minor = 0] = /^\s+Version:\s+v?(\d+)\.(\d+)/m.exec(stdout.toString()) ?? [];
  const [firstMajor, firstMinor] = FIRST_WITH_PARAMS;
  const isNewer = Number(major) > firstMajor;
  return isNewer || (Number(major) === firstMajor && Number(minor) >= firstMinor) ? 'params' : 'any';
}

function fileOf(binary: string): string {
  const { ino, size, mtimeMs } = statSync(binary, { throwIfNoEntry: false }) ?? {};
  return `${ino}/${size}/${mtimeMs}`;
}
