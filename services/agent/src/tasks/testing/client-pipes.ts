import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AT_FDCWD, isErrno, mknodat } from '@longshore/linux';
import { onTestFinished } from 'vitest';

/** The fifos that a client has made for one process, and its ends of them. Until the test ends. */
export class ClientPipes {
  /** What a create or an exec takes. All output comes by one fifo. */
  readonly io: { stdin: string; stdout: string; stderr: string; terminal: boolean };
  readonly #directory = mkdtempSync(join(tmpdir(), 'client-pipes-'));
  #output = '';

  constructor({ stdin = false, terminal = false } = {}) {
    const make = (name: string) => {
      const path = join(this.#directory, name);
      mknodat(AT_FDCWD, path, constants.S_IFIFO | 0o600, 0);
      return path;
    };
    const stdout = make('stdout');
    this.io = { stdin: stdin ? make('stdin') : '', stdout, stderr: terminal ? '' : stdout, terminal };
    onTestFinished(() => rmSync(this.#directory, { recursive: true }));
  }

  /** What was read of the process's output since {@link read}. */
  get output(): string {
    return this.#output;
  }

  /** Opens the output, and reads it to its end. */
  read(): this {
    const fd = openSync(this.io.stdout, constants.O_RDONLY | constants.O_NONBLOCK);
    const socket = new Socket({ fd, readable: true, writable: false });
    socket.on('data', (data) => (this.#output += data));
    onTestFinished(() => void socket.destroy());
    return this;
  }

  /** Opens the output without ever reading it; answers whether there is no room in it for anything more. */
  hold(): () => boolean {
    const fd = openSync(this.io.stdout, constants.O_RDWR | constants.O_NONBLOCK);
    onTestFinished(() => closeSync(fd));
    return () => {
      try {
        writeSync(fd, '.');
        return false;
      } catch (error) {
        if (isErrno(error, 'EAGAIN')) return true;
        throw error;
      }
    };
  }

  /** As a client that comes, writes and leaves. Waits for the other side. */
  async type(text: string): Promise<void> {
    await using writer = await open(this.io.stdin, 'w');
    await writer.writeFile(text);
  }
}
