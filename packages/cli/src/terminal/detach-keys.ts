import { Transform, type TransformCallback } from 'node:stream';
import { UsageError } from '../usage-error.ts';

export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q';

const CONTROLS = '@abcdefghijklmnopqrstuvwxyz[\\]^_';

/**
 * Keys that let go of a container, as Docker writes them: letters, `ctrl-` with a letter or one of `@[\]^_`, with commas between.
 * Empty for none. Throws UsageError.
 */
export function parseDetachKeys(text: string): Buffer {
  if (text === '') return Buffer.alloc(0);
  return Buffer.from(text.split(',').map((key) => byteOf(key, text)));
}

function byteOf(key: string, text: string): number {
  const control = /^ctrl-(.)$/i.exec(key)?.[1]?.toLowerCase();
  const code = control === undefined ? -1 : CONTROLS.indexOf(control);
  if (code >= 0) return code;
  if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
  throw new UsageError(
    `--detach-keys "${text}": "${key}" is no key`,
    'Keys are written as in "ctrl-p,ctrl-q".',
  );
}

/**
 * Passes typed input on, but for the keys that let go: those are taken out, and `detach` resolves. What may be their beginning is held
 * back until the next key tells.
 */
export class DetachFilter extends Transform {
  readonly detached: Promise<void>;
  readonly #keys: Buffer;
  readonly #detach: () => void;
  #matched = 0;

  constructor(keys: Buffer) {
    super();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.detached = promise;
    this.#keys = keys;
    this.#detach = resolve;
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    const passed: number[] = [];
    for (const byte of chunk) {
      this.#take(byte, passed);
      if (this.#keys.length > 0 && this.#matched === this.#keys.length) {
        // Whatever else was typed is for nobody.
        this.push(Buffer.from(passed));
        this.#detach();
        this.push(null);
        return;
      }
    }
    done(null, passed.length > 0 ? Buffer.from(passed) : null);
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#matched > 0 ? this.#keys.subarray(0, this.#matched) : null);
  }

  #take(byte: number, passed: number[]): void {
    if (byte === this.#keys[this.#matched]) {
      this.#matched++;
      return;
    }
    // The longest end of what was held that may still begin the keys goes on being held.
    const held = [...this.#keys.subarray(0, this.#matched), byte];
    let kept = this.#matched;
    while (kept > 0 && !this.#begins(held.slice(-kept))) kept--;
    passed.push(...held.slice(0, held.length - kept));
    this.#matched = kept;
  }

  #begins(bytes: number[]): boolean {
    return bytes.every((byte, index) => byte === this.#keys[index]);
  }
}
