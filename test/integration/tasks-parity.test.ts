import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { create, toBinary } from '@bufbuild/protobuf';
import { removeCgroup } from '@longshore/linux';
import { toolchain } from '@longshore/local';
import { anyToJson } from '@longshore/proto';
import { OptionsSchema } from '@longshore/proto/containerd/runc/v1/oci';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient } from '@longshore/rpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PeerContainerd, startContainerd } from '../harness/peer-containerd.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { CONTAINER_CASES } from './tasks-parity/container-cases.ts';
import { DIFFERENCES } from './tasks-parity/differences.ts';
import { plain } from './tasks-parity/plain.ts';
import { type Cases, type Place, Side } from './tasks-parity/side.ts';
import { TASK_CASES } from './tasks-parity/task-cases.ts';

const CASES: Cases = { ...TASK_CASES, ...CONTAINER_CASES };
/** Of this run: peers of other runs may share the machine. */
const RUN = `longshore-parity-${randomBytes(3).toString('hex')}`;

interface Daemon {
  channel: Channel;
  place: Place;
  events: Told[];
}

interface Told {
  namespace: string;
  topic: string;
  event: Record<string, unknown>;
}

type Said = Side['said'];

let directory: string;
let stack: Stack;
let peer: PeerContainerd;
let daemons: Daemon[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'longshore-parity-'));
  const image = join(directory, 'image');
  for (const name of ['bin', 'proc', 'dev']) mkdirSync(join(image, name), { recursive: true });
  copyFileSync((await toolchain()).binaries.busybox, join(image, 'bin/busybox'));
  symlinkSync('busybox', join(image, 'bin/sleep'));
  [stack, peer] = await Promise.all([startStack(), startContainerd({ collects: false })]);
  const runc = create(OptionsSchema, { root: join(directory, 'runc') });
  const options = { typeUrl: OptionsSchema.typeName, value: toBinary(OptionsSchema, runc) };
  const cgroup = `/${RUN}`;
  daemons = [
    daemon(stack.socket, { state: stack.state, image, cgroup }),
    daemon(peer.socket, { state: join(dirname(peer.socket), 'state'), image, cgroup, options }),
  ];
  await Promise.all(daemons.map(listen));
});
afterAll(async () => {
  for (const { channel } of daemons ?? []) channel.close();
  await peer?.[Symbol.asyncDispose]();
  await stack?.close();
  await removeCgroup(`/${RUN}`);
  await rm(directory, { recursive: true, force: true });
});

function daemon(socket: string, place: Place): Daemon {
  return { channel: new Channel(`unix://${socket}`), place, events: [] };
}

/** Resolves once it hears what happens. */
async function listen({ channel, place, events }: Daemon): Promise<void> {
  const client = createClient(Events, channel);
  const answers = client.subscribe({ filters: [`namespace~=^${RUN}`] });
  void (async () => {
    for await (const { namespace, topic, event } of answers) {
      const told = plain(anyToJson(event!) ?? {}, place.state) as Told['event'];
      events.push({ namespace, topic, event: told });
    }
  })().catch(() => undefined);
  const probe = { topic: '/probe', event: { typeUrl: 'acme.Probe', value: new Uint8Array() } };
  const hears = async () => {
    await client.publish(probe, { headers: { [Header.Namespace]: `${RUN}-probe` } });
    return events.length > 0;
  };
  expect(await waitUntil(hears)).toBe(true);
}

/** What was told of each container, and of each task, in order: the two come by ways of their own. */
function livesOf({ events }: Daemon, namespace: string): Map<string, Told[]> {
  return Map.groupBy(
    events.filter((one) => one.namespace === namespace),
    ({ topic, event }) => `${topic.split('/')[1]} ${event.container_id ?? event.id}`,
  );
}

/** As a containerd tells of exits since 1.7: those of execs first. Debian's tells of them as they come. */
function execsFirst(lives: Map<string, Told[]>): Map<string, Told[]> {
  for (const told of lives.values()) {
    for (const [n, one] of told.entries()) {
      const next = told[n + 1];
      if (isExit(one, true) && next && isExit(next, false)) [told[n], told[n + 1]] = [next, one];
    }
  }
  return lives;
}

function isExit({ topic, event }: Told, ofTask: boolean): boolean {
  return topic === '/tasks/exit' && (event.id === event.container_id) === ofTask;
}

describe("containers and tasks of the node socket are like containerd's", () => {
  it.each(Object.keys(CASES))('%s', async (name) => {
    const namespace = `${RUN}-${name.replaceAll(/[^a-z]+/g, '-')}`;
    const sides = daemons.map(({ channel, place }) => new Side(channel, namespace, place));
    await Promise.all(
      sides.map(async (side) => {
        await CASES[name]!(side);
        await side.clear();
      }),
    );
    const [ours, theirs] = sides.map(({ said }) => said) as [Said, Said];
    const differences = Object.entries(DIFFERENCES[name] ?? {});
    for (const [step, difference] of differences) {
      expect({ step, ours: ours[step], theirs: theirs[step] }).toEqual({ step, ...difference });
    }
    const steps = differences.map(([step]) => [step, undefined]);
    expect({ ...ours, ...Object.fromEntries(steps) }).toEqual({ ...theirs, ...Object.fromEntries(steps) });

    const heard = () => {
      const [here, there] = daemons.map((daemon) => livesOf(daemon, namespace));
      return [here!, execsFirst(there!)] as const;
    };
    await waitUntil(() => isDeepStrictEqual(...heard()));
    const [here, there] = heard();
    expect(here).toEqual(there);
  });
});
