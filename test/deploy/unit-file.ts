import { readFileSync } from 'node:fs';

/** Settings of a systemd unit by section; each may be given several times. Source: systemd.syntax(7). */
export class UnitFile {
  readonly #settings = new Map<string, string[]>();

  constructor(path: string) {
    let section = '';
    for (const line of readFileSync(path, 'utf8').replaceAll('\\\n', ' ').split('\n')) {
      const text = line.trim();
      if (text === '' || text.startsWith('#') || text.startsWith(';')) continue;
      const header = /^\[(\w+)\]$/.exec(text)?.[1];
      if (header !== undefined) {
        section = header;
        continue;
      }
      const at = text.indexOf('=');
      if (at < 1 || section === '') throw new Error(`${path}: ${JSON.stringify(line)} is no setting`);
      const key = `${section}.${text.slice(0, at)}`;
      this.#settings.set(key, [...this.all(key), text.slice(at + 1)]);
    }
  }

  /** e.g. `Service.ExecStart`. */
  all(key: string): string[] {
    return this.#settings.get(key) ?? [];
  }

  /** The last one wins. */
  get(key: string): string | undefined {
    return this.all(key).at(-1);
  }

  keys(): string[] {
    return [...this.#settings.keys()];
  }

  /** Of all `Environment=` lines. */
  environment(): Record<string, string> {
    const words = this.all('Service.Environment').flatMap((line) => line.split(/\s+/));
    return Object.fromEntries(
      words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
    );
  }
}
