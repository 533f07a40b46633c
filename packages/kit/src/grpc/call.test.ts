import { create } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { Metadata } from '@grpc/grpc-js';
import { Content, ReadContentRequestSchema } from '@longshore/proto/containerd/services/content/v1/content';
import { Version } from '@longshore/proto/containerd/services/version/v1/version';
import { describe, expect, it, vi } from 'vitest';
import { ended, silent, startServer, TestClient } from '../testing/grpc.ts';
import { openRaw } from '../testing/raw-caller.ts';
import { Call } from './call.ts';

const EMPTY = create(EmptySchema);
const READ = create(ReadContentRequestSchema);

function callWith(headers: Record<string, string[]>): Call {
  const metadata = new Metadata();
  for (const [name, values] of Object.entries(headers)) {
    for (const value of values) metadata.add(name, value);
  }
  const raw = {
    metadata,
    getPath: () => '/s/M',
    getDeadline: () => Number.POSITIVE_INFINITY,
    on: () => undefined,
  };
  return new Call(raw, 'request-1', silent);
}

/** A server whose handlers wait for ever; `entered` resolves with the call that came. */
async function startWaiting() {
  const { promise: entered, resolve } = Promise.withResolvers<Call>();
  const { address } = await startServer((server) => {
    server.add(Version, {
      version: (_, call) => {
        resolve(call);
        return new Promise(() => undefined);
      },
    });
    server.add(Content, {
      async *read(_, call) {
        resolve(call);
        yield {};
        await new Promise((wake) => call.signal.addEventListener('abort', wake));
      },
    });
  });
  return { address, entered };
}

describe('Call', () => {
  it('wants a namespace', () => {
    expect(() => callWith({}).namespace).toThrow('namespace is required: failed precondition');
    expect(() => callWith({ 'containerd-namespace': [''] }).namespace).toThrow('namespace is required');
  });

  it('refuses a namespace that is no identifier', () => {
    expect(() => callWith({ 'containerd-namespace': ['a b'] }).namespace).toThrow(
      /^namespace validation: identifier "a b" must match .*: invalid argument$/,
    );
  });

  it('takes the first value of a header that is repeated on the wire', async () => {
    const { promise: entered, resolve } = Promise.withResolvers<Call>();
    const { address } = await startServer((server) =>
      server.add(Version, {
        version: async (_, call) => {
          resolve(call);
          return {};
        },
      }),
    );
    openRaw(address, '/containerd.services.version.v1.Version/Version', new Uint8Array(), {
      'containerd-namespace': ['new', 'old'],
      'containerd-lease': ['a,b', 'c'],
    });
    const call = await entered;
    expect(call.namespace).toBe('new');
    expect(call.lease).toBe('a,b');
    expect(call.forward().headers['containerd-namespace']).toBe('new');
  });

  it.each([[{}], [{ 'longshore-node': [''] }], [{ 'longshore-node': ['_'] }]])(
    "means the fleet's own scope by %j",
    (headers) => {
      expect(callWith(headers).node).toBe('_');
    },
  );

  it('refuses a node that cannot be one', () => {
    expect(callWith({ 'longshore-node': ['n-1.example'] }).node).toBe('n-1.example');
    expect(() => callWith({ 'longshore-node': ['a/b'] }).node).toThrow(
      /^node validation: .*: invalid argument$/,
    );
  });

  it('passes on scope, lease and request id, and nothing else', () => {
    const headers = {
      'containerd-namespace': ['ns'],
      'containerd-lease': ['l'],
      'longshore-node': ['n'],
      secret: ['s'],
    };
    const { headers: passed, deadline } = callWith(headers).forward();
    expect(passed).toEqual({
      'x-request-id': 'request-1',
      'containerd-namespace': 'ns',
      'containerd-lease': 'l',
      'longshore-node': 'n',
    });
    expect(deadline).toBeUndefined();
  });
});

describe('Call.signal', () => {
  it('aborts when the caller cancels', async () => {
    const { address, entered } = await startWaiting();
    const controller = new AbortController();
    const answer = new TestClient(Version, address).unary(
      'Version',
      EMPTY,
      {},
      {
        onCall: (call) => controller.signal.addEventListener('abort', () => call.cancel()),
      },
    );
    const refused = expect(answer).rejects.toMatchObject({ code: 1 });
    const call = await entered;
    expect(call.signal.aborted).toBe(false);
    controller.abort();
    await refused;
    await vi.waitFor(() => expect(call.signal.aborted).toBe(true));
  });

  it('aborts at the deadline, which the handler knows', async () => {
    const { address, entered } = await startWaiting();
    const deadline = new Date(Date.now() + 200);
    const answer = new TestClient(Version, address).unary('Version', EMPTY, {}, { deadline });
    const refused = expect(answer).rejects.toMatchObject({ code: 4 });
    const call = await entered;
    // The wire carries a duration, counted anew by the server.
    expect(Math.abs(call.deadline!.getTime() - deadline.getTime())).toBeLessThan(150);
    await refused;
    await vi.waitFor(() => expect(call.signal.aborted).toBe(true));
  });

  it('aborts a stream whose caller goes away', async () => {
    const { address, entered } = await startWaiting();
    const stream = new TestClient(Content, address).serverStream('Read', READ);
    const status = ended(stream);
    stream.once('data', () => stream.cancel());
    expect((await status).code).toBe(1);
    const call = await entered;
    await vi.waitFor(() => expect(call.signal.aborted).toBe(true));
  });
});
