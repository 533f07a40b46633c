import { isKind } from '@longshore/errors';
import { anyToJson } from '@longshore/proto';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import type { Envelope } from '@longshore/proto/containerd/types/event';
import { Option } from 'commander';
import { collect, type Define, examples } from '../command.ts';
import type { GlobalOptions } from '../global-options.ts';
import type { Format } from '../output/output-options.ts';
import { printable } from '../output/printable.ts';
import { timeOf } from '../output/quantity.ts';
import { showNext } from '../output/show.ts';
import { eventFilters } from '../resources/event-filter.ts';
import type { Session } from '../session.ts';

interface Options extends GlobalOptions {
  filter?: string[];
  output?: Format;
}

export const define: Define = (command, session) => {
  command
    .option(
      '-f, --filter <filter>',
      "container=, image=, type=, event=, topic=; or containerd's language",
      collect,
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
  const filters = eventFilters(options.filter ?? [], options.namespace);
  const client = await session.client();
  try {
    for await (const envelope of client.service(Events).subscribe({ filters }, { signal })) {
      const document = eventDocument(envelope);
      if (options.output) await showNext(session, document, options.output);
      else session.line(eventLine(document));
    }
  } catch (error) {
    if (!signal.aborted || !isKind(error, 'Canceled')) throw error;
  }
}

function eventDocument({ timestamp, namespace, topic, event }: Envelope) {
  return {
    time: timeOf(timestamp),
    namespace,
    topic,
    type: event?.typeUrl ?? '',
    event: (event && anyToJson(event)) ?? null,
  };
}

function eventLine({ time, namespace, topic, event }: ReturnType<typeof eventDocument>): string {
  return printable(`${time} ${namespace} ${topic} ${event === null ? '' : JSON.stringify(event)}`.trimEnd());
}
