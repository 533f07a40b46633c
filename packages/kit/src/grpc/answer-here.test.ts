import type { IncomingHttpHeaders } from 'node:http2';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { notFound } from '@longshore/errors';
import { Version, type VersionResponse } from '@longshore/proto/containerd/services/version/v1/version';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createMetrics } from '../metrics.ts';
import { NO_TLS, silent, TestClient } from '../testing/grpc.ts';
import { scratchDirectory } from '../testing/scratch.ts';
import { answerHere } from './answer-here.ts';
import type { Call } from './call.ts';
import { RawListener } from './raw-listener.ts';
import { readRequest } from './route.ts';
import { GrpcServer } from './server.ts';

const EMPTY = create(EmptySchema);
const VERSION = { version: '1', revision: 'r' };
const PATH = '/containerd.services.version.v1.Version/Version';

/** A door that answers by a method of a server that does not listen; `taken` are the trailers that it saw. */
async function openDoor(version: (call: Call) => Promise<typeof VERSION>) {
  const server = new GrpcServer(silent, createMetrics('test'));
  server.add(Version, { version: (_, call) => version(call) });
  const method = server.unaryMethod(PATH)!;
  const taken: IncomingHttpHeaders[] = [];
  const route = {
    headers: { 'longshore-node': 'n1' },
    takeTrailers(trailers: IncomingHttpHeaders) {
      taken.push({ ...trailers });
      delete trailers['for-the-door'];
    },
  };
  const listener = new RawListener(async (stream, headers) => {
    const { bytes } = await readRequest(stream, 1024);
    await answerHere(stream, headers, method, method.decode(bytes.subarray(5)), route);
  }, silent);
  const address = await listener.listen(`unix://${join(scratchDirectory(), 'door.sock')}`, NO_TLS);
  onTestFinished(() => listener.close(0));
  return { client: new TestClient(Version, address), taken };
}

describe('answerHere', () => {
  it("gives the method the caller's call with the route's headers, and the caller what the route leaves of its trailers", async () => {
    const { client, taken } = await openDoor(async (call) => {
      expect(call.scope).toEqual({ namespace: 'ns', node: 'n1' });
      expect(call.peer).toEqual({ kind: 'local' });
      expect(call.deadline?.getTime()).toBeGreaterThan(Date.now() + 30_000);
      call.trailers.set('for-the-door', 'a');
      call.trailers.set('for-the-caller-bin', Buffer.from([0xff]));
      return VERSION;
    });
    const headers = { 'containerd-namespace': 'ns', 'longshore-node': 'forged' };
    const deadline = Date.now() + 60_000;
    const { answer, trailers } = await client.unary<VersionResponse>('Version', EMPTY, headers, { deadline });
    expect(answer).toMatchObject(VERSION);
    expect(trailers.get('for-the-door')).toEqual([]);
    expect(trailers.get('for-the-caller-bin')).toEqual([Buffer.from([0xff])]);
    expect(taken).toMatchObject([{ 'grpc-status': '0', 'for-the-door': 'a' }]);
  });

  it('answers a failure with its status, and the trailers that it has', async () => {
    const { client, taken } = await openDoor(async (call) => {
      call.trailers.set('more', 'x');
      throw notFound('thing "ä"');
    });
    await expect(client.unary('Version', EMPTY)).rejects.toMatchObject({
      code: 5,
      message: 'thing "ä": not found',
    });
    expect(taken).toMatchObject([{ 'grpc-status': '5', more: 'x' }]);
  });

  it('cancels what runs when its caller has gone, or waits no longer, and tells the route', async () => {
    const aborted: AbortSignal[] = [];
    const { client, taken } = await openDoor(async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      aborted.push(signal);
      signal.throwIfAborted();
      return VERSION;
    });
    // By the header alone: this client does not look at the clock.
    await expect(client.unary('Version', EMPTY, { 'grpc-timeout': '50m' })).rejects.toMatchObject({
      code: 4,
    });
    expect(taken).toMatchObject([{ 'grpc-status': '4' }]);
    const leave = (call: { cancel(): void }) => setTimeout(() => call.cancel(), 100);
    await expect(client.unary('Version', EMPTY, {}, { onCall: leave })).rejects.toMatchObject({ code: 1 });
    await expect.poll(() => taken).toMatchObject([{ 'grpc-status': '4' }, { 'grpc-status': '1' }]);
    expect(aborted).toHaveLength(2);
  });
});
