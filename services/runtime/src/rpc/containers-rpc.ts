import { create } from '@bufbuild/protobuf';
import { invalidArgument } from '@longshore/errors';
import { objectAdaptor, parseFilters, selectFrom } from '@longshore/filters';
import { type Call, type Handlers, requireTag } from '@longshore/kit';
import {
  ContainerSchema,
  type Containers,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import { ANY_TASK, Header } from '@longshore/proto/headers';
import type { Collector } from '@longshore/rpc';
import { type Container, updateContainer, validateNewContainer } from '../domain/container.ts';
import { dropsReference } from '../domain/references.ts';
import { containerEvents } from '../events.ts';
import type { ContainerRepository } from '../storage/postgres/container-repository.ts';
import { containerFromProto, containerToProto } from './convert.ts';
import { containerRecord } from './records.ts';

/**
 * `containerd.services.containers.v1.Containers`. What can be no container's id is not found, as in containerd.
 * Source: containerd plugins/services/containers.
 */
export function containersRpc(
  containers: ContainerRepository,
  collector: Collector,
): Handlers<typeof Containers> {
  function list(filters: string[], call: Call): AsyncGenerator<Container> {
    const filter = parseFilters(filters);
    return selectFrom(filter, containers.pages(call.scope, filter), adaptorOf);
  }

  return {
    async get({ id }, call) {
      return { container: containerToProto(await containers.get(call.scope, id)) };
    },

    async list({ filters }, call) {
      return { containers: (await Array.fromAsync(list(filters, call))).map(containerToProto) };
    },

    async *listStream({ filters }, call) {
      for await (const container of list(filters, call)) yield { container: containerToProto(container) };
    },

    async create({ container }, call) {
      const requested = validateNewContainer(containerFromProto(container));
      const created = await containers.create(call.scope, requested, containerEvents.created);
      call.reportEvent(containerEvents.created(created));
      call.reportRecord(containerRecord.stored(created));
      return { container: containerToProto(created) };
    },

    async update({ container, updateMask }, call) {
      const requested = containerFromProto(container);
      if (requested.id === '') throw invalidArgument('container.ID must be set');
      let drops = false;
      const change = (stored: Container) => {
        requireVersion(call, stored);
        const changed = updateContainer(stored, requested, updateMask?.paths ?? []);
        drops = dropsReference(stored, changed);
        return changed;
      };
      const updated = await containers.update(call.scope, requested.id, change, containerEvents.updated);
      call.reportEvent(containerEvents.updated(updated));
      call.reportRecord(containerRecord.stored(updated));
      if (drops) collector.ask(call.scope);
      return { container: containerToProto(updated) };
    },

    async delete({ id }, call) {
      const hasTask = namesTask(call.header(Header.LiveTasks), id);
      const deleted = await containers.delete(call.scope, id, containerEvents.deleted, {
        hasTask,
        ...(call.header(Header.IfMatch) && { check: (stored) => requireVersion(call, stored) }),
      });
      call.reportEvent(containerEvents.deleted(deleted));
      call.reportRecord(containerRecord.deleted(deleted));
      collector.ask(call.scope);
      return {};
    },
  };
}

/** Throws FailedPrecondition when the call is meant for another version of the container. */
export function requireVersion(call: Call, stored: Container): void {
  const subject = `container ${JSON.stringify(stored.id)}`;
  requireTag(call, subject, () => create(ContainerSchema, containerToProto(stored)));
}

function namesTask(liveTasks: string | undefined, id: string): boolean {
  return liveTasks === ANY_TASK || (liveTasks?.split(',').includes(id) ?? false);
}

function adaptorOf(container: Container) {
  return objectAdaptor(
    { id: container.id, 'runtime.name': container.runtime.name, image: container.image },
    container.labels,
  );
}
