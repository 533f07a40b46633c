import { objectAdaptor, parseFilters, selectFrom } from '@longshore/filters';
import type { Handlers } from '@longshore/kit';
import type { Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import type { Collector } from '@longshore/rpc';
import { dropsLabelReference } from '../domain/references.ts';
import { updateSandbox, validateNewSandbox } from '../domain/sandbox.ts';
import type { SandboxRepository } from '../storage/postgres/sandbox-repository.ts';
import { sandboxFromProto, sandboxToProto } from './convert-sandbox.ts';
import { sandboxRecord } from './records.ts';

/**
 * `containerd.services.sandbox.v1.Store`. Its changes cause no events: those of sandboxes come from who runs them.
 * Source: containerd core/metadata/sandbox.go.
 */
export function sandboxesRpc(sandboxes: SandboxRepository, collector: Collector): Handlers<typeof Store> {
  return {
    async create({ sandbox }, call) {
      const requested = validateNewSandbox(sandboxFromProto(sandbox));
      const created = await sandboxes.create(call.scope, requested);
      call.reportRecord(sandboxRecord.stored(created));
      return { sandbox: sandboxToProto(created) };
    },

    async update({ sandbox, fields }, call) {
      const requested = sandboxFromProto(sandbox);
      let drops = false;
      const updated = await sandboxes.update(call.scope, requested.id, (stored) => {
        const changed = updateSandbox(stored, requested, fields);
        drops = dropsLabelReference(stored.labels, changed.labels);
        return changed;
      });
      call.reportRecord(sandboxRecord.stored(updated));
      if (drops) collector.ask(call.scope);
      return { sandbox: sandboxToProto(updated) };
    },

    async delete({ sandboxId }, call) {
      call.reportRecord(sandboxRecord.deleted(await sandboxes.delete(call.scope, sandboxId)));
      collector.ask(call.scope);
      return {};
    },

    async list({ filters }, call) {
      const filter = parseFilters(filters);
      const chosen = selectFrom(filter, sandboxes.pages(call.scope, filter), ({ id, labels }) =>
        objectAdaptor({ id }, labels),
      );
      return { list: (await Array.fromAsync(chosen)).map(sandboxToProto) };
    },

    async get({ sandboxId }, call) {
      return { sandbox: sandboxToProto(await sandboxes.get(call.scope, sandboxId)) };
    },
  };
}
