import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeBusyboxImage, pushImage, type ServiceName, startPostgres } from '@longshore/local';
import { type Stack, startStack } from './stack.ts';

const CONTROL_PLANE: ServiceName[] = ['content', 'image', 'snapshot', 'runtime', 'events', 'gateway'];

/** What a node can lose for a while. */
export const PARTS = ['postgres', 'nats', 'control-plane'] as const;
export type PartName = (typeof PARTS)[number];

interface Part {
  lose(): Promise<void>;
  bring(): Promise<void>;
}

/** A stack with an image, each part of which can be taken away, and brought back with what it had. */
export interface LosableStack {
  readonly stack: Stack;
  readonly image: string;
  readonly parts: Record<PartName, Part>;
  close(): Promise<void>;
}

export async function startLosableStack(): Promise<LosableStack> {
  await using undo = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'longshore-test-losable-'));
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  let postgres = await startPostgres(directory, { durable: false });
  undo.defer(() => postgres.close());
  const stack = await startStack({ databaseUrl: postgres.url });
  undo.use(stack);
  const image = await pushImage(stack.registry.host, 'test/busybox', '1', await makeBusyboxImage());
  await stack.ctr.ok(['image', 'pull', '--plain-http', image]);
  const { services } = stack;
  const parts = {
    postgres: {
      lose: () => postgres.close(),
      async bring() {
        postgres = await startPostgres(directory, { durable: false });
      },
    },
    nats: { lose: () => stack.killNats(), bring: () => stack.restartNats() },
    'control-plane': {
      async lose() {
        await Promise.all(CONTROL_PLANE.map((service) => services.stop(service)));
      },
      async bring() {
        await Promise.all(CONTROL_PLANE.map((service) => services.start(service)));
      },
    },
  };
  const owned = undo.move();
  return { stack, image, parts, close: () => owned.disposeAsync() };
}
