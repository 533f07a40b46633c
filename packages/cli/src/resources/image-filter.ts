import { UsageError } from '../usage-error.ts';
import { labelFilter } from './container-filter.ts';

/** `--filter` as Docker has it (`label=a=b`, `reference=alpine*`), all of which must match, or in containerd's language. */
export function imageFilters(texts: readonly string[]): string[] {
  const filters: string[] = [];
  const selectors: string[] = [];
  for (const text of texts) {
    const [, key, value] = /^([a-z]+)=(?!=)(.*)$/.exec(text) ?? [];
    if (key === undefined) filters.push(text);
    else selectors.push(selectorOf(key, value!));
  }
  const common = selectors.join(',');
  if (common === '') return filters;
  return filters.length === 0 ? [common] : filters.map((filter) => `${filter},${common}`);
}

function selectorOf(key: string, value: string): string {
  if (key === 'label') return labelFilter(value);
  if (key === 'reference') {
    const pattern = value
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    return `name~=${JSON.stringify(`(^|/)${pattern}(:[^/]*)?$`)}`;
  }
  throw new UsageError(
    `filter "${key}=${value}": unknown key`,
    "Keys are label, reference; or use containerd's language: name==….",
  );
}
