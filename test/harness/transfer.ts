import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { hostPlatform } from '@longshore/oci';
import { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { ImageStoreSchema } from '@longshore/proto/containerd/types/transfer/imagestore';
import { OCIRegistrySchema } from '@longshore/proto/containerd/types/transfer/registry';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient } from '@longshore/rpc';

/** What clients of containerd 2 do for `ctr image pull`: the node fetches the image, over HTTP, and unpacks it. */
export async function transferImage(socket: string, reference: string): Promise<void> {
  const { os, architecture, variant = '' } = hostPlatform();
  const unpacks = [{ snapshotter: 'overlayfs' }];
  const store = { name: reference, platforms: [{ os, architecture, variant }], unpacks };
  const channel = new Channel(`unix://${socket}`);
  try {
    await createClient(Transfer, channel).transfer(
      {
        source: any(OCIRegistrySchema, { reference, resolver: { defaultScheme: 'http' } }),
        destination: any(ImageStoreSchema, store),
      },
      { headers: { [Header.Namespace]: 'default' } },
    );
  } finally {
    channel.close();
  }
}

function any<D extends DescMessage>(schema: D, init: MessageInitShape<D>) {
  return { typeUrl: schema.typeName, value: toBinary(schema, create(schema, init)) };
}
