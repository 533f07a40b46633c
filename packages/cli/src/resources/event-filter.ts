import { nearest } from '../nearest.ts';
import { UsageError } from '../usage-error.ts';

/** Docker's words for what its users filter events by, in containerd's language. */
const KEYS: Record<string, (value: string) => string> = {
  // Task events name the container by container_id, those of its record by id.
  container: (value) =>
    `event.container_id==${JSON.stringify(value)}|topic~="^/containers/",event.id==${JSON.stringify(value)}`,
  image: (value) => `topic~="^/images/",event.name==${JSON.stringify(value)}`,
  topic: (value) => `topic~=${JSON.stringify(`^${value}`)}`,
  type: (value) => `topic~=${JSON.stringify(`^/${value}s?/`)}`,
  event: (value) => `topic~=${JSON.stringify(`/${value}$`)}`,
};

/**
 * `--filter` as Docker has it (`container=web`, `event=exit`), where all keys must match, or in containerd's language, where one must.
 * With a namespace, of that alone. Throws UsageError for an unknown key.
 */
export function eventFilters(texts: readonly string[], namespace: string | undefined): string[] {
  let filters = texts.filter((text) => !isDockers(text));
  for (const text of texts.filter(isDockers)) {
    const equals = text.indexOf('=');
    const alternatives = selectorOf(text.slice(0, equals), text.slice(equals + 1)).split('|');
    filters = combined(filters, alternatives);
  }
  return namespace === undefined ? filters : combined(filters, [`namespace==${JSON.stringify(namespace)}`]);
}

function combined(filters: readonly string[], alternatives: readonly string[]): string[] {
  if (filters.length === 0) return [...alternatives];
  return filters.flatMap((filter) => alternatives.map((other) => `${filter},${other}`));
}

function isDockers(text: string): boolean {
  return /^[a-z]+=(?!=)/.test(text);
}

function selectorOf(key: string, value: string): string {
  const make = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
  if (make) return make(value);
  const keys = Object.keys(KEYS);
  const near = nearest(key, keys);
  const hint = near
    ? `Did you mean "${near}=${value}"?`
    : `Keys are ${keys.join(', ')}; or use containerd's language: topic~="^/tasks/".`;
  throw new UsageError(`filter "${key}=${value}": unknown key`, hint);
}
