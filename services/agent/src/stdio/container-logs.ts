import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { isErrno } from '@longshore/linux';
import { containersBelow } from './stdio-directory.ts';

/** The directories of the containers' logs: `<root>/logs/<namespace>/<id>`. */
export class ContainerLogs {
  readonly #root: string;
  readonly #log: Logger;

  constructor(rootDir: string, log: Logger) {
    this.#root = join(rootDir, 'logs');
    this.#log = log;
  }

  directoryOf(namespace: string, id: string): string {
    return join(this.#root, namespace, id);
  }

  has(namespace: string, id: string): boolean {
    return existsSync(this.directoryOf(namespace, id));
  }

  containers(): { namespace: string; id: string }[] {
    return containersBelow(this.#root);
  }

  /** Renamed first: a new container of that name begins with nothing. What cannot be removed is logged. */
  remove(namespace: string, id: string): void {
    const directory = this.directoryOf(namespace, id);
    const hidden = join(this.#root, `.${randomUUID()}`);
    try {
      renameSync(directory, hidden);
      rmSync(hidden, { recursive: true, force: true });
      rmdirSync(dirname(directory));
    } catch (error) {
      if (isErrno(error, 'ENOENT', 'ENOTEMPTY')) return;
      this.#log.warn({ namespace, id, error: messageOf(error) }, 'log of a deleted container stays');
    }
  }

  /** What a removal that was cut short has left. What cannot be removed is logged. */
  removeGarbage(): void {
    if (!existsSync(this.#root)) return;
    for (const name of readdirSync(this.#root).filter((each) => each.startsWith('.'))) {
      try {
        rmSync(join(this.#root, name), { recursive: true, force: true });
      } catch (error) {
        this.#log.warn({ name, error: messageOf(error) }, 'log of a deleted container stays');
      }
    }
  }
}
