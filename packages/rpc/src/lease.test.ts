import { create } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  type AddResourceRequest,
  type DeleteResourceRequest,
  Leases,
} from '@longshore/proto/containerd/services/leases/v1/leases';
import { describe, expect, it } from 'vitest';
import { createClient } from './create-client.ts';
import { leaseOf } from './lease.ts';
import { openChannel, serve } from './testing/grpc-server.ts';

type Request = AddResourceRequest | DeleteResourceRequest;

/** The lease of a call to a server that knows the lease `known` only. */
async function leaseNamed(lease: string | undefined) {
  const asked: string[] = [];
  const warned: string[] = [];
  const handle =
    (method: string) => (call: ServerUnaryCall<Request, unknown>, answer: sendUnaryData<unknown>) => {
      const { id, resource } = call.request;
      asked.push(`${method} ${id} ${resource?.type} ${resource?.id} in ${call.metadata.get('scope')[0]}`);
      if (id === 'known') answer(null, create(EmptySchema));
      else answer({ code: status.NOT_FOUND, details: `lease "${id}": not found` });
    };
  const channel = openChannel(
    await serve(Leases, { AddResource: handle('add'), DeleteResource: handle('delete') }),
  );
  const call = {
    lease,
    log: { warn: (_: object, message: string) => void warned.push(message) },
    forward: () => ({ headers: { scope: 'ns' } }),
  };
  return { asked, warned, lease: leaseOf(call, createClient(Leases, channel), 'images') };
}

describe('leaseOf', () => {
  it('is undefined for a call without a lease', async () => {
    expect((await leaseNamed(undefined)).lease).toBeUndefined();
  });

  it('keeps and releases a name of its type, in the scope of the call', async () => {
    const { asked, warned, lease } = await leaseNamed('known');
    await lease?.keep('a');
    await lease?.release('a');
    expect(asked).toEqual(['add known images a in ns', 'delete known images a in ns']);
    expect(warned).toEqual([]);
  });

  it('refuses to keep by a lease that does not exist, and only warns when it cannot release', async () => {
    const { warned, lease } = await leaseNamed('gone');
    await expect(lease?.keep('a')).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'lease does not exist: not found',
    });
    await lease?.release('a');
    expect(warned).toEqual(['lease keeps a name that is gone']);
  });
});
