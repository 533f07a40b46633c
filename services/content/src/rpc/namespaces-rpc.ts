import { create } from '@bufbuild/protobuf';
import { invalidArgument } from '@longshore/errors';
import { type Call, type Handlers, requireTag } from '@longshore/kit';
import { type Labels, parseIdentifier } from '@longshore/oci';
import {
  NamespaceSchema,
  type Namespaces,
} from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { updateNamespaceLabels, validateNewNamespace } from '../domain/namespace.ts';
import { namespaceEvents } from '../events.ts';
import type { NamespaceRepository } from '../storage/postgres/namespace-repository.ts';
import { namespaceToProto } from './convert.ts';
import { namespaceRecord } from './records.ts';

/** `containerd.services.namespaces.v1.Namespaces`, of the caller's node. Source: containerd plugins/services/namespaces. */
export function namespacesRpc(namespaces: NamespaceRepository): Handlers<typeof Namespaces> {
  const scopeOf = (name: string, call: Call) => ({ namespace: name, node: call.node });
  return {
    async get({ name }, call) {
      return { namespace: { name, labels: await namespaces.labels(scopeOf(name, call)) } };
    },

    async list(_request, call) {
      return { namespaces: (await namespaces.list(call.node)).map(namespaceToProto) };
    },

    async create({ namespace }, call) {
      if (!namespace) throw invalidArgument('namespace must be set');
      const { name } = namespace;
      const labels = validateNewNamespace(name, namespace.labels);
      const scope = scopeOf(name, call);
      const event = await namespaces.create(scope, labels, (change) =>
        namespaceEvents.created({ ...change, labels }),
      );
      call.reportEvent(event);
      call.reportRecord(namespaceRecord.stored({ scope, revision: event.revision, labels }));
      return { namespace: { name, labels } };
    },

    async update({ namespace, updateMask }, call) {
      if (!namespace) throw invalidArgument('namespace must be set');
      const { name, labels } = namespace;
      parseIdentifier(name);
      const scope = scopeOf(name, call);
      let after = labels;
      const change = (stored: Labels) => {
        requireVersion(call, name, stored);
        after = updateNamespaceLabels(stored, labels, updateMask?.paths ?? []);
        return after;
      };
      const event = await namespaces.update(scope, change, (changed) =>
        namespaceEvents.updated({ ...changed, labels }),
      );
      call.reportEvent(event);
      call.reportRecord(namespaceRecord.stored({ scope, revision: event.revision, labels: after }));
      return {};
    },

    async delete({ name }, call) {
      const scope = scopeOf(name, call);
      const check = (stored: Labels) => requireVersion(call, name, stored);
      const event = await namespaces.delete(scope, check, (change) =>
        namespaceEvents.deleted({ ...change, labels: {} }),
      );
      call.reportEvent(event);
      call.reportRecord(namespaceRecord.deleted({ scope, revision: event.revision }));
      return {};
    },
  };
}

/** Throws FailedPrecondition when the call is meant for another version of the namespace. */
function requireVersion(call: Call, name: string, labels: Labels): void {
  requireTag(call, `namespace ${JSON.stringify(name)}`, () => create(NamespaceSchema, { name, labels }));
}
