import { createReadStream } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { kindOf, messageOf } from '@longshore/errors';
import { type ApplyJob, runApplyJob } from '../apply-job.ts';
import type { Archive } from '../archive.ts';
import { DecompressedStream } from '../decompress.ts';
import { GunzippedFile } from '../gunzipped-file.ts';
import { ChunkInbox } from './chunk-inbox.ts';
import type { FromWorker, JobSource, ToWorker } from './protocol.ts';
import { verifiedFile } from './verified-file.ts';

/** The thread that layers are applied in: takes jobs from its parent, one at a time. */

interface RunningJob {
  abort: AbortController;
  inbox: ChunkInbox;
}

/** Large reads: the file is read once, from its start to its end. */
const READ_BYTES = 512 * 1024;

const port = parentPort;
if (!port) throw new Error('apply-worker.ts is to be run as a worker thread');

let running: RunningJob | undefined;

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'apply':
      start(message);
      break;
    case 'chunk':
      running?.inbox.push(
        Buffer.from(message.bytes.buffer, message.bytes.byteOffset, message.bytes.byteLength),
      );
      break;
    case 'end':
      running?.inbox.end();
      break;
    case 'abort':
      running?.abort.abort();
      running?.inbox.fail(running.abort.signal.reason);
  }
});

function start({ job, source }: Extract<ToWorker, { type: 'apply' }>): void {
  const current: RunningJob = {
    abort: new AbortController(),
    inbox: new ChunkInbox((bytes) => send({ type: 'consumed', bytes })),
  };
  running = current;
  archiveOf(job, source, current)
    .then((archive) => runApplyJob(job, archive, current.abort.signal))
    .then(
      (layer): FromWorker => ({ type: 'done', layer }),
      (error): FromWorker => ({ type: 'failed', kind: kindOf(error), message: messageOf(error) }),
    )
    .then((answer) => {
      running = undefined;
      // Ends a reader that still waits for a chunk.
      current.inbox.end();
      send(answer);
    });
}

async function archiveOf(job: ApplyJob, source: JobSource, current: RunningJob): Promise<Archive> {
  const { compression, gunzip } = job;
  const gunzipped =
    source.kind === 'file' && compression !== 'none' && gunzip !== undefined
      ? GunzippedFile.verified(source.path, source.digest, gunzip)
      : undefined;
  return gunzipped ?? new DecompressedStream(open(source, current), compression);
}

function open(source: JobSource, { abort, inbox }: RunningJob): AsyncIterable<Buffer> {
  if (source.kind === 'chunks') return inbox;
  const { path, digest } = source;
  if (digest) return verifiedFile(path, digest, abort.signal);
  return createReadStream(path, { highWaterMark: READ_BYTES, signal: abort.signal });
}

function send(message: FromWorker): void {
  port?.postMessage(message);
}
