import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { digestOf } from '@longshore/oci';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Content, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Header } from '@longshore/proto/headers';
import { CatalogueService, Kind } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { Channel, createClient } from '@longshore/rpc';
import { containerRecord } from '../scale/container-record.ts';

/**
 * The load generator: writes into one scope, one call of each kind after the other, and answers, asked by IPC, how long each
 * call took since it was last asked. Arguments: the directory of the services' sockets, the namespace, the node.
 */
const [state = '', namespace = '', node = ''] = process.argv.slice(2);
const LEASE = 'load';
/** A hundred calls a second in one scope, which leave the machine some of its time: a full one makes everybody wait. */
const PAUSE_MS = 25;
const BLOB_BYTES = 10_000;

const samples: Record<string, number[]> = {};
const failures: string[] = [];
const channels = new Map<string, Channel>();
const headers = { [Header.Namespace]: namespace, [Header.Node]: node };
const leased = { headers: { ...headers, [Header.Lease]: LEASE } };

function to(service: string): Channel {
  const known = channels.get(service);
  if (known) return known;
  const channel = new Channel(`unix://${state}/${service}.sock`);
  channels.set(service, channel);
  return channel;
}

const content = createClient(Content, to('content'));
const images = createClient(Images, to('image'));
const catalogue = createClient(CatalogueService, to('snapshot'));
const containers = createClient(Containers, to('runtime'));

const CALLS: Record<string, (n: number) => Promise<unknown>> = {
  'content.Write': () => write(randomBytes(BLOB_BYTES)),
  'images.Create': (n) => images.create({ image: { name: `load:${n}`, target: TARGET } }, leased),
  'snapshots Prepare': (n) =>
    catalogue.prepare(
      { snapshotter: 'overlayfs', key: `load-${n}`, kind: Kind.ACTIVE, generation: randomUUID() },
      leased,
    ),
  'containers.Create': (n) => containers.create({ container: containerRecord(n) }, leased),
};

const TARGET = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: digestOf('none'),
  size: 4n,
};

async function write(data: Buffer): Promise<void> {
  const expected = digestOf(data);
  const total = BigInt(data.byteLength);
  async function* requests() {
    yield { action: WriteAction.COMMIT, ref: `load-${expected}`, total, expected, data };
  }
  for await (const _ of content.write(requests(), leased));
}

process.on('disconnect', () => process.exit());
process.on('message', () => {
  const answer = { samples: { ...samples }, failures: failures.splice(0) };
  for (const name of Object.keys(samples)) samples[name] = [];
  process.send?.(answer);
});

await createClient(Leases, to('content')).create({ id: LEASE }, { headers });
await Promise.all(Object.entries(CALLS).map(([name, call]) => repeat(name, call)));

async function repeat(name: string, call: (n: number) => Promise<unknown>): Promise<void> {
  for (let n = 0; ; n++) {
    const started = performance.now();
    await call(n).catch((error) => failures.push(`${name}: ${error}`));
    samples[name] ??= [];
    samples[name].push(performance.now() - started);
    await delay(PAUSE_MS);
  }
}

/** What the parent is told. */
export interface Answer {
  samples: Record<string, number[]>;
  failures: string[];
}
