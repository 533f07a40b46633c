import type { Session } from '../session.ts';
import { showDocument } from './document.ts';
import { type Format, formatOf, type OutputOptions } from './output-options.ts';
import { printable } from './printable.ts';
import { type Column, Table } from './table.ts';

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
  } else {
    writer(session, view, format)(items);
  }
}

/** Names are printed as they are for a script, but not sent to a terminal so. */
function writer<T>(session: Session, view: View<T>, format: Format): (items: readonly T[]) => void {
  const { isTTY, columns: width } = session.host.stdout;
  const columns = view.columns.filter(({ isWide }) => !isWide || format === 'wide');
  const table = new Table(columns, isTTY ? width : undefined);
  const nameOf = (item: T) => (isTTY ? printable(view.name(item)) : view.name(item));
  return (items) => {
    const lines = format === 'name' ? items.map(nameOf) : table.lines(items);
    if (lines.length > 0) session.line(lines.join('\n'));
  };
}
