import { CollectorService, type UnreachedObject } from '@longshore/proto/longshore/content/v1/collector';
import { type Define, examples } from '../command.ts';
import { addOutputOptions, type OutputOptions } from '../output/output-options.ts';
import { ageText, sizeText, timeOf } from '../output/quantity.ts';
import { show, type View } from '../output/show.ts';
import type { Session } from '../session.ts';

interface Options extends OutputOptions {
  dryRun?: boolean;
  force?: boolean;
}

export const define: Define = (command, session) => {
  addOutputOptions(command)
    .option('--dry-run', 'show what would go, and remove nothing')
    .option('--force', 'also when it is much of all that there is; not for a node')
    .action(session.action((options: Options) => gc(session, options)));
  examples(
    command,
    ['What would go', 'longshore gc --dry-run'],
    ['Remove what nothing refers to any more, and wait for that', 'longshore gc'],
    ['Why something would stay', 'longshore why image alpine:3'],
  );
};

async function gc(session: Session, options: Options): Promise<void> {
  const { dryRun, force = false } = options;
  const client = await session.calls();
  const collector = client.service(CollectorService);
  if (!dryRun) {
    const { removed } = await collector.collect({ wait: true, force });
    if (options.output === 'json') session.line(JSON.stringify({ removed: Number(removed) }));
    else session.line(`${removed} removed`);
    return;
  }
  const objects: UnreachedObject[] = [];
  for await (const part of collector.dryRun({ force })) objects.push(...part.objects);
  await show(session, objects, VIEW, options);
}

const VIEW: View<UnreachedObject> = {
  columns: [
    { header: 'KIND', value: ({ kind }) => kind },
    { header: 'KEY', value: ({ key }) => key, shrinks: true },
    { header: 'SIZE', value: ({ sizeBytes }) => (sizeBytes === undefined ? '-' : sizeText(sizeBytes)) },
    { header: 'SINCE', value: ({ since }) => ageText(since) },
  ],
  name: ({ key }) => key,
  document: ({ kind, key, sizeBytes, since }) => ({
    kind,
    key,
    size_bytes: sizeBytes === undefined ? null : Number(sizeBytes),
    since: timeOf(since),
  }),
};
