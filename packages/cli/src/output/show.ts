import type { Session } from '../session.ts';
import { showDocument, showNext } from './document.ts';
import { type Format, formatOf, type OutputOptions } from './output-options.ts';
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
    return;
  }
  const lines = format === 'name' ? items.map(view.name) : linesOf(session, items, view, format);
  if (lines.length > 0) session.line(lines.join('\n'));
}

function linesOf<T>(session: Session, items: readonly T[], view: View<T>, format: Format): string[] {
  return tableOf(session, view, format).lines(items);
}

function tableOf<T>(session: Session, view: View<T>, format: Format): Table<T> {
  const columns = view.columns.filter(({ isWide }) => !isWide || format === 'wide');
  const { isTTY, columns: width } = session.host.stdout;
  return new Table(columns, isTTY ? width : undefined);
}

/** Shows items that come now and then; of tables there is one. */
export function shower<T>(
  session: Session,
  view: View<T>,
  options: OutputOptions,
): (items: readonly T[]) => Promise<void> {
  const format = formatOf(options);
  const table = tableOf(session, view, format);
  return async (items) => {
    if (format === 'json' || format === 'yaml') {
      for (const item of items) await showNext(session, view.document(item), format);
      return;
    }
    const lines = format === 'name' ? items.map(view.name) : table.lines(items);
    if (lines.length > 0) session.line(lines.join('\n'));
  };
}
