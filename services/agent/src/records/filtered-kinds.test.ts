import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { parseFilters } from '@longshore/filters';
import { ContainerSchema } from '@longshore/proto/containerd/services/containers/v1/containers';
import { InfoSchema } from '@longshore/proto/containerd/services/content/v1/content';
import { ImageSchema } from '@longshore/proto/containerd/services/images/v1/images';
import { SandboxSchema } from '@longshore/proto/containerd/types/sandbox';
import { Kind, SnapshotSchema } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { describe, expect, it } from 'vitest';
import { adaptorOf, type FilteredKind } from './filtered-kinds.ts';

const labels = { 'a.b': 'c' };
const target = { digest: 'sha256:0', mediaType: 'm', annotations: { 'x.y': 'z' } };

function encoded<S extends DescMessage>(schema: S, init: MessageInitShape<S>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

const RECORDS: Record<FilteredKind, { value: Uint8Array; has: string[] }> = {
  container: {
    value: encoded(ContainerSchema, { id: 'i', image: 'm', runtime: { name: 'r' }, labels }),
    has: ['id==i', 'image==m', 'runtime.name==r'],
  },
  sandbox: { value: encoded(SandboxSchema, { sandboxId: 's', labels }), has: ['id==s'] },
  content: { value: encoded(InfoSchema, { digest: 'sha256:0', labels }), has: ['digest=="sha256:0"'] },
  image: {
    value: encoded(ImageSchema, { name: 'n', target, labels }),
    has: ['name==n', 'target.digest=="sha256:0"', 'target.mediatype==m', 'annotations.x.y==z'],
  },
  snapshot: {
    value: encoded(SnapshotSchema, { name: 'k', parent: 'p', kind: Kind.ACTIVE, labels }),
    has: ['name==k', 'parent==p', 'kind==active'],
  },
};

describe('what filters see of a record', () => {
  it.each(Object.keys(RECORDS) as FilteredKind[])('of the kind %s is as in containerd', (kind) => {
    const { value, has } = RECORDS[kind];
    const matches = (filter: string) => parseFilters([filter]).matches(adaptorOf(kind, value));
    expect([...has, 'labels.a.b==c'].filter((filter) => !matches(filter))).toEqual([]);
    const others = Object.values(RECORDS).flatMap((record) => record.has);
    expect([...others, 'size', 'labels'].filter(matches)).toEqual(has);
  });
});
