import type { Sample, Series } from './series.ts';

type Family = Pick<Series<never>, 'name' | 'help' | 'type'>;

/**
 * Text of Prometheus' format 0.0.4, with the values of each series together. Written here because prom-client keeps every label set
 * that it was ever told: these go with their containers.
 */
export class Exposition {
  readonly #families = new Map<string, string[]>();

  /** `common` are the labels of the container, see {@link labelText}. The first word on a series' help and type counts. */
  add({ name, help, type }: Family, common: string, { labels = {}, value }: Sample): void {
    const lines = this.#families.get(name) ?? [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
    this.#families.set(name, lines);
    const own = labelText(labels);
    lines.push(`${name}{${own ? `${common},${own}` : common}} ${value}`);
  }

  toString(): string {
    return [...this.#families.values()].map((lines) => `${lines.join('\n')}\n`).join('\n');
  }
}

/** `a="b",c="d"` */
export function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
