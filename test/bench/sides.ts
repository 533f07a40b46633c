import { makeBusyboxImage, pushImage } from '@longshore/local';
import type { Ctr } from '../harness/ctr.ts';
import { startServer } from '../harness/global-setup.ts';
import { startContainerd } from '../harness/peer-containerd.ts';
import { type Stack, startStack } from '../harness/stack.ts';

export interface Side {
  name: string;
  ctr: Ctr;
}

/** A stack as `npm start` has it, and an image that its node has pulled. */
export interface BenchStack extends AsyncDisposable {
  stack: Stack;
  /** Of busybox. */
  image: string;
}

/** That stack beside a containerd that has the same image. */
export interface Sides extends BenchStack {
  containerdPid: number;
  sides: [longshore: Side, containerd: Side];
}

export async function startBenchStack(): Promise<BenchStack> {
  await using undo = new AsyncDisposableStack();
  undo.defer(await startServer({ durable: true }));
  const stack = undo.use(await startStack({ env: { LONGSHORE_LOG_LEVEL: 'info' } }));
  const image = await pushImage(stack.registry.host, 'bench/busybox', '1', await makeBusyboxImage());
  await stack.ctr.ok(['image', 'pull', '--plain-http', image]);
  const owned = undo.move();
  return { stack, image, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

export async function startSides(): Promise<Sides> {
  await using undo = new AsyncDisposableStack();
  const { stack, image } = undo.use(await startBenchStack());
  const peer = undo.use(await startContainerd());
  await peer.ctr.ok(['image', 'pull', '--plain-http', image]);
  const owned = undo.move();
  return {
    stack,
    image,
    containerdPid: peer.pid,
    sides: [
      { name: 'longshore', ctr: stack.ctr },
      { name: 'containerd', ctr: peer.ctr },
    ],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
