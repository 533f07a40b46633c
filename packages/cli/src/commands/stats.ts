import { setTimeout as delay } from 'node:timers/promises';
import { Option } from 'commander';
import { type Define, examples } from '../command.ts';
import { showNext } from '../output/document.ts';
import type { Format } from '../output/output-options.ts';
import { sizeText } from '../output/quantity.ts';
import { drawScreen, isScreen } from '../output/screen.ts';
import { type Column, tableLines } from '../output/table.ts';
import { findContainer } from '../resources/find-container.ts';
import { type NodeUsage, readUsage } from '../resources/read-usage.ts';
import { cpuPercent } from '../resources/usage.ts';
import type { Session } from '../session.ts';
import { UsageError } from '../usage-error.ts';

interface Options {
  stream: boolean;
  interval: number;
  output?: Format;
}

interface Shown extends NodeUsage {
  cpuPercent: number;
}

export const define: Define = (command, session) => {
  command
    .argument('[container...]', 'ids, or beginnings of ids; all that run when none is given')
    .option('--no-stream', 'once, not again and again')
    .option('--interval <seconds>', 'between two readings', parseInterval, 1)
    .addOption(
      new Option('-o, --output <format>', 'json (one container a line) or yaml (default: a table)').choices([
        'json',
        'yaml',
      ]),
    )
    .action(session.action((names: string[], options: Options) => stats(session, names, options)));
  examples(
    command,
    ['All that run, each second', 'longshore stats'],
    ['One of them, once, for a script', 'longshore stats --no-stream -o json web | jq .memory_bytes'],
  );
};

async function stats(session: Session, names: string[], options: Options): Promise<void> {
  const signal = session.interrupted;
  const client = await session.calls();
  try {
    const wanted = await Promise.all(names.map((name) => findContainer(client, name)));
    let before = await readUsage(client, wanted, signal);
    for (;;) {
      await delay(options.interval * 1_000, undefined, { signal });
      const after = await readUsage(client, wanted, signal);
      const shown = Array.from(after, ([key, usage]) => {
        const earlier = before.get(key);
        return { ...usage, cpuPercent: earlier ? cpuPercent(earlier, usage) : 0 };
      });
      await print(session, shown, options);
      if (!options.stream) return;
      before = after;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function print(session: Session, shown: readonly Shown[], { output, stream }: Options): Promise<void> {
  if (output) {
    for (const each of shown) await showNext(session, documentOf(each), output);
    return;
  }
  const { stdout, env } = session.host;
  const lines = tableLines(shown, columnsFor(shown), stdout.isTTY ? stdout.columns : undefined);
  if (stream && isScreen(stdout, env)) drawScreen(stdout, lines);
  else session.line(lines.join('\n'));
}

const COLUMNS: readonly Column<Shown>[] = [
  { header: 'CONTAINER ID', value: ({ id }) => id, shrinks: true },
  { header: 'CPU %', value: ({ cpuPercent }) => `${cpuPercent.toFixed(2)}%` },
  {
    header: 'MEM USAGE / LIMIT',
    value: ({ memoryBytes, memoryLimitBytes }) =>
      `${sizeText(memoryBytes)} / ${memoryLimitBytes === undefined ? '-' : sizeText(memoryLimitBytes)}`,
  },
  {
    header: 'MEM %',
    value: ({ memoryBytes, memoryLimitBytes }) =>
      memoryLimitBytes === undefined ? '-' : `${((memoryBytes / memoryLimitBytes) * 100).toFixed(2)}%`,
  },
  {
    header: 'BLOCK I/O',
    value: ({ readBytes, writtenBytes }) => `${sizeText(readBytes)} / ${sizeText(writtenBytes)}`,
  },
  { header: 'PIDS', value: ({ pids }) => String(pids) },
];

function columnsFor(shown: readonly Shown[]): readonly Column<Shown>[] {
  return shown.some(({ node }) => node !== '')
    ? [...COLUMNS, { header: 'NODE', value: ({ node }) => node }]
    : COLUMNS;
}

function documentOf({
  id,
  node,
  time,
  cpuPercent,
  cpuMs,
  memoryBytes,
  memoryLimitBytes,
  pids,
  readBytes,
  writtenBytes,
}: Shown) {
  return {
    id,
    node: node || null,
    time: new Date(time).toISOString(),
    cpu_percent: Number(cpuPercent.toFixed(2)),
    cpu_milliseconds: cpuMs,
    memory_bytes: memoryBytes,
    memory_limit_bytes: memoryLimitBytes ?? null,
    pids,
    read_bytes: readBytes,
    written_bytes: writtenBytes,
  };
}

function parseInterval(text: string): number {
  const seconds = Number(text);
  if (seconds >= 0.1 && seconds <= 3_600) return seconds;
  throw new UsageError(`--interval "${text}": not between 0.1 and 3600 seconds`);
}
