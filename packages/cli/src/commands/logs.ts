import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type Output, StdioService, Stream } from '@longshore/proto/longshore/node/v1/stdio';
import { type Define, examples } from '../command.ts';
import { parseTime } from '../durations.ts';
import { timeOf } from '../output/quantity.ts';
import { findContainer } from '../resources/find-container.ts';
import type { Session } from '../session.ts';
import { UsageError } from '../usage-error.ts';

interface Options {
  follow?: boolean;
  tail?: bigint;
  since?: Date;
  until?: Date;
  timestamps?: boolean;
}

export const define: Define = (command, session) => {
  command
    .argument('<container>', 'id, or beginning of an id')
    .option('-f, --follow', 'go on until the container ends')
    .option('--tail <lines>', 'begin so many lines before the end; "all"', parseTail)
    .option('--since <time>', 'RFC 3339, or how long ago: 10m', (text) => parseTime(text))
    .option('--until <time>', 'RFC 3339, or how long ago: 10m', (text) => parseTime(text))
    .option('-t, --timestamps', 'begin each line with the time when it was read')
    .action(session.action((name: string, options: Options) => logs(session, name, options)));
  examples(
    command,
    ['What it writes, from the last ten lines on', 'longshore logs -f --tail 10 web'],
    ['Errors of the last hour', 'longshore logs --since 1h web 2>&1 >/dev/null | less'],
  );
};

async function logs(session: Session, name: string, options: Options): Promise<void> {
  const { follow = false, tail, since, until, timestamps } = options;
  const { record, client } = await findContainer(await session.calls(), name);
  const request = {
    containerId: record.id,
    follow,
    ...(since && { since: timestampFromDate(since) }),
    ...(until && { until: timestampFromDate(until) }),
    ...(tail !== undefined && { tail }),
  };
  const write = timestamps ? stampedWriter(session) : plainWriter(session);
  for await (const { outputs } of client.service(StdioService).logs(request)) {
    for (const output of outputs) {
      if (output.skippedBytes > 0n)
        session.note(`longshore: ${output.skippedBytes} bytes are not kept any more`);
      await write(output);
    }
  }
}

type Write = (output: Output) => Promise<void>;

function plainWriter(session: Session): Write {
  return ({ stream, data }) => session.write(data, isError(stream) ? 'stderr' : 'stdout');
}

/** The time goes before each line, however the bytes of lines come. */
function stampedWriter(session: Session): Write {
  const isInside = { stdout: false, stderr: false };
  return async ({ stream, data, time }) => {
    const sink = isError(stream) ? 'stderr' : 'stdout';
    const stamp = Buffer.from(`${timeOf(time) ?? ''} `);
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const parts: Buffer[] = [];
    for (let start = 0; start < bytes.length; ) {
      const end = bytes.indexOf(0x0a, start) + 1 || bytes.length;
      if (!isInside[sink]) parts.push(stamp);
      parts.push(bytes.subarray(start, end));
      isInside[sink] = bytes[end - 1] !== 0x0a;
      start = end;
    }
    await session.write(Buffer.concat(parts), sink);
  };
}

function isError(stream: Stream): boolean {
  return stream === Stream.STDERR;
}

function parseTail(text: string): bigint | undefined {
  if (text === 'all') return undefined;
  if (/^\d+$/.test(text)) return BigInt(text);
  throw new UsageError(`--tail "${text}": neither a number of lines nor "all"`);
}
