import { deletedRecord, type NodeRecord, storedRecord } from '@longshore/kit';
import { type RecordSource, recordSource } from '@longshore/postgres';
import { ContainerSchema } from '@longshore/proto/containerd/services/containers/v1/containers';
import { SandboxSchema } from '@longshore/proto/containerd/types/sandbox';
import type { Container, DeletedContainer } from '../domain/container.ts';
import type { Sandbox } from '../domain/sandbox.ts';
import { containerTable } from '../storage/postgres/container-repository.ts';
import { sandboxTable } from '../storage/postgres/sandbox-repository.ts';
import { containerToProto } from './convert.ts';
import { sandboxToProto } from './convert-sandbox.ts';

/** What nodes keep copies of. */
export const containerRecord = {
  stored: (container: Container): NodeRecord => ({
    ...storedRecord('container', container, container.id, ContainerSchema, containerToProto(container)),
    deleting: container.deletingAt !== undefined,
  }),
  deleted: (container: DeletedContainer): NodeRecord => deletedRecord('container', container, container.id),
};

export const sandboxRecord = {
  stored: (sandbox: Sandbox): NodeRecord =>
    storedRecord('sandbox', sandbox, sandbox.id, SandboxSchema, sandboxToProto(sandbox)),
  deleted: (sandbox: Sandbox): NodeRecord => deletedRecord('sandbox', sandbox, sandbox.id),
};

export const runtimeSources: readonly RecordSource[] = [
  recordSource(containerTable, containerRecord.stored),
  recordSource(sandboxTable, sandboxRecord.stored),
];
