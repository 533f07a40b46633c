import { anyToJson } from '@longshore/proto';
import { Option } from 'commander';
import { collect, type Define, examples } from '../command.ts';
import { parseTime } from '../durations.ts';
import type { GlobalOptions } from '../global-options.ts';
import { showNext } from '../output/document.ts';
import type { Format } from '../output/output-options.ts';
import { printable } from '../output/printable.ts';
import { timeOf } from '../output/quantity.ts';
import { type HeardEvent, hearEvents } from '../resources/hear-events.ts';
import type { Session } from '../session.ts';

interface Options extends GlobalOptions {
  filter?: string[];
  since?: Date;
  output?: Format;
}

export const define: Define = (command, session) => {
  command
    .option(
      '-f, --filter <filter>',
      "container=, image=, type=, event=, topic=; or containerd's language",
      collect,
    )
    .option('--since <time>', 'at a gateway: stored ones first; RFC 3339, or how long ago: 10m', (text) =>
      parseTime(text),
    )
    .addOption(
      new Option('-o, --output <format>', 'json (one a line) or yaml (default: text)').choices([
        'json',
        'yaml',
      ]),
    )
    .action(session.action((options: Options) => events(session, options)));
  examples(
    command,
    ['All that happens, in every namespace that you may see, from now on', 'longshore events'],
    ['Ends of containers in one namespace', 'longshore events -n prod -f type=task -f event=exit'],
    [
      'For a script',
      'longshore events -o json | jq -r \'select(.topic == "/tasks/oom") | .event.container_id\'',
    ],
  );
};

async function events(session: Session, options: Options): Promise<void> {
  const signal = session.interrupted;
  const { filter: filters = [], namespace, since, output } = options;
  const client = await session.calls();
  try {
    for await (const heard of hearEvents(client, { filters, namespace, since, signal })) {
      const document = eventDocument(heard);
      if (output) await showNext(session, document, output);
      else session.line(eventLine(document));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function eventDocument({ envelope, id, node }: HeardEvent) {
  const { timestamp, namespace, topic, event } = envelope;
  return {
    id: id || null,
    time: timeOf(timestamp),
    namespace,
    node: node || null,
    topic,
    type: event?.typeUrl ?? '',
    event: (event && anyToJson(event)) ?? null,
  };
}

function eventLine({ time, namespace, node, topic, event }: ReturnType<typeof eventDocument>): string {
  const words = [time, node, namespace, topic, event && JSON.stringify(event)];
  return printable(words.filter(Boolean).join(' '));
}
