import { invalidArgument } from '@longshore/errors';
import type { Labels } from '@longshore/oci';

export type Selector = (labels: Readonly<Labels>) => boolean;

/**
 * Parses terms that all must match, separated by commas: `key=value`, `key!=value` (also true without the label),
 * `key`, `!key`. Nothing matches everything. Throws InvalidArgument.
 */
export function parseSelector(text: string): Selector {
  if (text.trim() === '') return () => true;
  const terms = text.split(',').map((term) => parseTerm(term.trim(), text));
  return (labels) => terms.every((matches) => matches(labels));
}

const TERM = /^(?<not>!)?(?<key>[^!=\s]+)(?:\s*(?<operator>=|==|!=)\s*(?<value>[^!=]*))?$/;

function parseTerm(term: string, selector: string): Selector {
  const { not, key = '', operator, value = '' } = TERM.exec(term)?.groups ?? {};
  if (key === '' || (not && operator)) {
    throw invalidArgument(
      `selector ${JSON.stringify(selector)}: ${JSON.stringify(term)} is none of key=value, key!=value, key and !key`,
    );
  }
  const has = (labels: Readonly<Labels>) => Object.hasOwn(labels, key);
  if (not) return (labels) => !has(labels);
  if (operator === undefined) return has;
  const isEqual = (labels: Readonly<Labels>) => has(labels) && labels[key] === value;
  return operator === '!=' ? (labels) => !isEqual(labels) : isEqual;
}
