import { invalidArgument } from '@longshore/errors';
import type { Call, Handlers } from '@longshore/kit';
import { parseIdentifier } from '@longshore/oci';
import type { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { updateNamespaceLabels, validateNewNamespace } from '../domain/namespace.ts';
import { namespaceEvents } from '../events.ts';
import type { NamespaceRepository } from '../storage/postgres/namespace-repository.ts';
import { namespaceToProto } from './convert.ts';

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
      const event = await namespaces.create(scopeOf(name, call), labels, (change) =>
        namespaceEvents.created({ ...change, labels }),
      );
      call.reportEvent(event);
      return { namespace: { name, labels } };
    },

    async update({ namespace, updateMask }, call) {
      if (!namespace) throw invalidArgument('namespace must be set');
      const { name, labels } = namespace;
      parseIdentifier(name);
      const event = await namespaces.update(
        scopeOf(name, call),
        (stored) => updateNamespaceLabels(stored, labels, updateMask?.paths ?? []),
        (change) => namespaceEvents.updated({ ...change, labels }),
      );
      call.reportEvent(event);
      return {};
    },

    async delete({ name }, call) {
      const event = await namespaces.delete(scopeOf(name, call), (change) =>
        namespaceEvents.deleted({ ...change, labels: {} }),
      );
      call.reportEvent(event);
      return {};
    },
  };
}
