import { createHash } from 'node:crypto';
import pg from 'pg';

/** Postgres cuts names at 63 bytes. */
const NAME_LENGTH = 32;

const names = new Map<string, string>();

/**
 * A client that prepares every statement with parameters once per connection, under a name that follows from its text: parsing
 * and planning take as long as running most of ours does. Texts are constants of the code, so the names are few.
 */
export class PreparingClient extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: pg's own overloads take anything.
  override query(text: any, values?: any, callback?: any): any {
    if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0) {
      return super.query(text, values, callback);
    }
    return super.query({ name: nameOf(text), text, values }, callback);
  }
}

function nameOf(text: string): string {
  const known = names.get(text);
  if (known !== undefined) return known;
  const name = createHash('sha256').update(text).digest('hex').slice(0, NAME_LENGTH);
  names.set(text, name);
  return name;
}
