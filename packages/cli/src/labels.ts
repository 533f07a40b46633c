import { UsageError } from './usage-error.ts';

/** `key=value`, or `key-` to remove it; as many as there are. Throws UsageError. */
export function parseLabels(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=');
      if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
      if (text.endsWith('-') && text.length > 1) return [text.slice(0, -1), ''];
      throw new UsageError(`label "${text}": neither key=value nor key- to remove it`);
    }),
  );
}

/** As a table shows them. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([key, value]) => (value === '' ? key : `${key}=${value}`)).join(',');
}
