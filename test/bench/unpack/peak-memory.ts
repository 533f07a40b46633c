import { readFileSync, writeFileSync } from 'node:fs';

/** The largest resident set that a process had in any of the pieces of work that were watched. */
export class PeakMemory {
  megabytes = 0;
  readonly #pid: number;

  constructor(pid: number) {
    this.#pid = pid;
  }

  async during(work: () => Promise<void>): Promise<void> {
    // Resets the peak. Source: proc(5).
    writeFileSync(`/proc/${this.#pid}/clear_refs`, '5');
    await work();
    const status = readFileSync(`/proc/${this.#pid}/status`, 'utf8');
    const kilobytes = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
    this.megabytes = Math.max(this.megabytes, (kilobytes * 1024) / 1e6);
  }
}
