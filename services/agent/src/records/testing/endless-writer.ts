import { create } from '@bufbuild/protobuf';
import { RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { RecordCopy } from '../record-copy.ts';

/** A process that takes over three records with each position, until it is killed; prints the positions. */
const copy = new RecordCopy(process.argv[2]!, 'node-1');
const { round } = copy.beginRound('runtime');
for (let n = 1; ; n++) {
  const records = ['a', 'b', 'c'].map((part) =>
    create(RecordSchema, {
      kind: 'container',
      namespace: 'default',
      key: `${part}${n}`,
      revision: BigInt(n),
      value: Buffer.alloc(3_000, part),
    }),
  );
  copy.applyWatched('runtime', round, { records, position: String(n), reset: false, synced: false });
  process.stdout.write(`${n}\n`);
}
