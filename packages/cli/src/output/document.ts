import type { Session } from '../session.ts';
import type { Format } from './output-options.ts';

/** One document, whole. */
export async function showDocument(session: Session, document: unknown, format: Format): Promise<void> {
  if (format !== 'yaml') return session.line(JSON.stringify(document, undefined, 2));
  const { stringify } = await import('yaml');
  session.host.stdout.write(stringify(document));
}

/** One of many documents that come one by one: a line of JSON, or a YAML document of its own. */
export async function showNext(session: Session, document: unknown, format: Format): Promise<void> {
  if (format !== 'yaml') return session.line(JSON.stringify(document));
  const { stringify } = await import('yaml');
  session.host.stdout.write(`---\n${stringify(document)}`);
}
