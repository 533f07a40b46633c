import { showNext } from '../output/document.ts';
import { formatOf, type OutputOptions } from '../output/output-options.ts';
import { printable } from '../output/printable.ts';
import { drawScreen, isScreen } from '../output/screen.ts';
import type { View } from '../output/show.ts';
import { type Column, Table, tableLines } from '../output/table.ts';
import type { Session } from '../session.ts';
import type { ChangeSource } from './changes.ts';
import { type ListChange, type Watched, type WatchStep, watchList } from './watch-list.ts';

export interface FollowOptions<T> extends Omit<Watched<T>, 'textOf'> {
  /** Default: its document. */
  textOf?(item: T): string;
  /** How those are shown. */
  viewOf(items: readonly T[]): View<T>;
  topics: ChangeSource['topics'];
  allNamespaces?: boolean | undefined;
  output: OutputOptions;
}

type Show<T> = (step: WatchStep<T>) => void | Promise<void>;

const LONGEST_CHANGE = 'removed'.length;
/** Ages that a screen shows are as old as this at most. */
const DRAW_AGAIN_MS = 5_000;

/**
 * A list that goes on until it is interrupted: on a terminal drawn anew in place; elsewhere, and of names, a line for each change; of
 * documents one for each, with the field `change`.
 */
export async function followList<T>(session: Session, options: FollowOptions<T>): Promise<void> {
  const signal = session.interrupted;
  const { viewOf, topics, allNamespaces } = options;
  const client = await session.client();
  using display = displayOf(session, options);
  const documentText = (item: T) => JSON.stringify(viewOf([item]).document(item));
  const watched = { ...options, textOf: options.textOf ?? documentText };
  try {
    for await (const step of watchList(client, watched, { topics, allNamespaces, signal })) {
      await display.show(step);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

interface Display<T> extends Disposable {
  show: Show<T>;
}

function displayOf<T>(session: Session, { viewOf, output }: FollowOptions<T>): Display<T> {
  const format = formatOf(output);
  const { stdout, env } = session.host;
  if (format === 'json' || format === 'yaml') {
    return lines(session, async ({ change, item }) => {
      await showNext(session, { change, ...(viewOf([item]).document(item) as object) }, format);
    });
  }
  if (format === 'name') {
    return lines(session, ({ item }) => {
      const name = viewOf([item]).name(item);
      session.line(stdout.isTTY ? printable(name) : name);
    });
  }
  const columnsOf = (items: readonly T[]) =>
    viewOf(items).columns.filter(({ isWide }) => !isWide || format === 'wide');
  if (isScreen(stdout, env)) {
    return screen(session, (items) => tableLines(items, columnsOf(items), stdout.columns));
  }
  return rows(session, columnsOf);
}

/** Once, until others are away. */
function teller(session: Session): (unreachable: readonly string[]) => void {
  let told = '';
  return (unreachable) => {
    if (told !== unreachable.join()) tellOfUnreachable(session, unreachable);
    told = unreachable.join();
  };
}

function rows<T>(session: Session, columnsOf: (items: readonly T[]) => readonly Column<T>[]): Display<T> {
  let table: Table<ListChange<T>> | undefined;
  const tell = teller(session);
  return {
    show({ items, changes, unreachable }) {
      table ??= new Table([
        { header: 'CHANGE'.padEnd(LONGEST_CHANGE), value: ({ change }) => change },
        ...columnsOf(items).map((column) => ({
          ...column,
          value: ({ item }: ListChange<T>) => column.value(item),
        })),
      ]);
      for (const line of table.lines(changes)) session.line(line);
      tell(unreachable);
    },
    [Symbol.dispose]: () => undefined,
  };
}

function lines<T>(session: Session, print: (change: ListChange<T>) => void | Promise<void>): Display<T> {
  const tell = teller(session);
  return {
    async show({ changes, unreachable }) {
      for (const change of changes) await print(change);
      tell(unreachable);
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** Drawn again also when the terminal has another size. */
function screen<T>({ host }: Session, linesOf: (items: readonly T[]) => string[]): Display<T> {
  let latest: WatchStep<T> | undefined;
  const draw = () => {
    if (!latest) return;
    const { items, unreachable } = latest;
    const notes = unreachable.length > 0 ? [unreachableText(unreachable)] : [];
    drawScreen(host.stdout, [...notes, ...linesOf(items)]);
  };
  const timer = setInterval(draw, DRAW_AGAIN_MS);
  host.signals.on('SIGWINCH', draw);
  return {
    show(step) {
      latest = step;
      draw();
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      host.signals.off('SIGWINCH', draw);
    },
  };
}

/** That a list is not whole. */
export function tellOfUnreachable(session: Session, nodes: readonly string[]): void {
  if (nodes.length > 0) session.note(unreachableText(nodes));
}

function unreachableText(nodes: readonly string[]): string {
  return `longshore: no answer from ${nodes.join(', ')}`;
}
