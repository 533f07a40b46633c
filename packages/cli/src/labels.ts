import { UsageError } from './usage-error.ts';

/** `key=value`, as many as there are. Throws UsageError. */
export function parseLabels(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=');
      if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
      throw new UsageError(`label "${text}": not key=value`);
    }),
  );
}

/** `key=value` to set one, `key-` to remove it, which is null. Throws UsageError. */
export function parseLabelChanges(texts: readonly string[]): Record<string, string | null> {
  const isRemoval = (text: string) => !text.includes('=') && /.-$/.test(text);
  const wrong = texts.find((text) => !isRemoval(text) && text.indexOf('=') <= 0);
  if (wrong !== undefined) throw new UsageError(`label "${wrong}": neither key=value nor key- to remove it`);
  const removed = texts.filter(isRemoval).map((text) => [text.slice(0, -1), null] as const);
  return { ...parseLabels(texts.filter((text) => !isRemoval(text))), ...Object.fromEntries(removed) };
}

/** As a table shows them. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([key, value]) => (value === '' ? key : `${key}=${value}`)).join(',');
}
