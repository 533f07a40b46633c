import { create, toBinary } from '@bufbuild/protobuf';
import { notFound, unavailable } from '@longshore/errors';
import { ContainerSchema } from '@longshore/proto/containerd/services/containers/v1/containers';
import { RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { describe, expect, it } from 'vitest';
import { emptyCopy, syncedCopy } from '../records/testing/copies.ts';
import { containerLookup } from './container-lookup.ts';

function lookup(copy = syncedCopy(), failure: Error = unavailable('database')) {
  const value = toBinary(ContainerSchema, create(ContainerSchema, { id: 'known', image: 'from the copy' }));
  const record = { kind: 'container', namespace: 'default', key: 'known', revision: 1n, value };
  copy.apply([create(RecordSchema, record)]);
  copy.doubt('runtime');
  const containers = {
    get: async () => {
      throw failure;
    },
  };
  const { get } = containerLookup(copy, containers, 'node-1');
  return (id: string) => get(id, { namespace: 'default' });
}

describe('the lookup of containers for tasks', () => {
  it('goes by what was last known while the control plane cannot say', async () => {
    const get = lookup();
    expect((await get('known')).image).toBe('from the copy');
    await expect(get('nobody')).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'container "nobody" in namespace "default": not found',
    });
  });

  it('believes the control plane otherwise', async () => {
    await expect(lookup(syncedCopy(), notFound('container "known"'))('known')).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });

  it('fails as the control plane does when nothing was ever known', async () => {
    await expect(lookup(emptyCopy())('known')).rejects.toMatchObject({ kind: 'Unavailable' });
  });
});
