import type { Host } from '../host.ts';
import { type ProgressPicture, progressLines } from './progress-view.ts';
import { sizeText } from './quantity.ts';

const CLEAR_BELOW = '\x1b[J';

/**
 * Shows how something goes on: bars on a terminal, which are drawn anew in place; elsewhere a line for each thing that has changed its
 * state. Standard error, so that standard output has the result alone.
 */
export class ProgressDisplay implements Disposable {
  readonly #host: Pick<Host, 'stderr' | 'env'>;
  readonly #isLive: boolean;
  readonly #told = new Map<string, string>();
  #drawnLines = 0;

  constructor(host: Pick<Host, 'stderr' | 'env'>) {
    this.#host = host;
    this.#isLive = host.stderr.isTTY === true && host.env.TERM !== 'dumb';
  }

  update(picture: ProgressPicture): void {
    if (this.#isLive) this.#draw(picture);
    else this.#tell(picture);
  }

  /** Leaves what is drawn where it is; what follows is below it. */
  [Symbol.dispose](): void {
    this.#drawnLines = 0;
  }

  #draw(picture: ProgressPicture): void {
    const { columns = 80, rows = 24 } = this.#host.stderr;
    const lines = progressLines(picture, columns, rows);
    const home = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}F` : '';
    this.#host.stderr.write(`${home}${CLEAR_BELOW}${lines.join('\n')}\n`);
    this.#drawnLines = lines.length;
  }

  #tell(picture: ProgressPicture): void {
    for (const { name, state, totalBytes } of picture.lines) {
      this.#say(name, totalBytes > 0 ? `${state} (${sizeText(totalBytes)})` : state);
    }
    this.#say('', picture.title);
  }

  #say(name: string, text: string): void {
    if (this.#told.get(name) === text) return;
    this.#told.set(name, text);
    this.#host.stderr.write(`${name ? `${name}: ` : ''}${text.trimEnd()}\n`);
  }
}
