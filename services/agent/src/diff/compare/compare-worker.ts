import { parentPort, workerData } from 'node:worker_threads';
import { kindOf, LongshoreError, messageOf } from '@longshore/errors';
import { WINDOW_BYTES } from '../worker/protocol.ts';
import { SendWindow } from '../worker/send-window.ts';
import { type CompareJob, runCompareJob } from './compare-job.ts';
import type { FromCompareWorker, ToCompareWorker } from './protocol.ts';

/** The thread that one comparison is made in. */

const port = parentPort;
if (!port) throw new Error('compare-worker.ts is to be run as a worker thread');

const { job, stop } = workerData as { job: CompareJob; stop: Int32Array };
const window = new SendWindow(WINDOW_BYTES);

port.on('message', (message: ToCompareWorker) => {
  if (message.type === 'consumed') window.give(message.bytes);
  else window.close();
});

/** Read from shared memory, since a walk does not let messages in. */
function checkStop(): void {
  if (Atomics.load(stop, 0) !== 0) throw new LongshoreError('Canceled', 'comparison was given up');
}

async function write(chunk: Buffer): Promise<void> {
  if (!(await window.take(chunk.length))) checkStop();
  // A copy of just these bytes, since what is handed over is the whole memory that a buffer is a part of.
  const bytes = new Uint8Array(chunk);
  send({ type: 'chunk', bytes }, [bytes.buffer]);
}

function send(message: FromCompareWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

runCompareJob(job, write, checkStop)
  .then(
    (layer): FromCompareWorker => ({ type: 'done', layer }),
    (error): FromCompareWorker => ({ type: 'failed', kind: kindOf(error), message: messageOf(error) }),
  )
  .then((answer) => {
    send(answer);
    port.close();
  });
