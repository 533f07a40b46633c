import type { Session } from '../session.ts';
import { type Format, formatOf, type OutputOptions } from './output-options.ts';
import { type Column, tableLines } from './table.ts';

/** How items of a kind are shown. */
export interface View<T> {
  columns: readonly Column<T>[];
  /** What other commands take for it. */
  name(item: T): string;
  /** What `--output json` and `yaml` show; its keys are those of the HTTP API, and stay. */
  document(item: T): unknown;
}

/** A list, as the options want it. */
export async function show<T>(
  session: Session,
  items: readonly T[],
  view: View<T>,
  options: OutputOptions,
): Promise<void> {
  const format = formatOf(options);
  if (format === 'json' || format === 'yaml') {
    await showDocument(session, items.map(view.document), format);
    return;
  }
  const lines = format === 'name' ? items.map(view.name) : linesOf(session, items, view, format);
  if (lines.length > 0) session.line(lines.join('\n'));
}

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

function linesOf<T>(session: Session, items: readonly T[], view: View<T>, format: Format): string[] {
  const columns = view.columns.filter(({ isWide }) => !isWide || format === 'wide');
  const { isTTY, columns: width } = session.host.stdout;
  return tableLines(items, columns, isTTY ? width : undefined);
}
