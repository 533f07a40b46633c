import { statSync } from 'node:fs';
import { create, toBinary } from '@bufbuild/protobuf';
import { GrpcCode, notFound, unimplemented } from '@longshore/errors';
import { objectAdaptor, parseFilters } from '@longshore/filters';
import type { Handlers, OpaqueAny } from '@longshore/kit';
import { hostPlatform } from '@longshore/oci';
import type { Introspection } from '@longshore/proto/containerd/services/introspection/v1/introspection';
import { type RuntimeInfo, RuntimeInfoSchema } from '@longshore/proto/containerd/types/introspection';
import { type NodeParts, type Part, parts, RUNTIME } from '../node/parts.ts';

export interface IntrospectionOptions {
  uuid: string;
  node: NodeParts;
  /** Tells about the runtime that a `RuntimeRequest` names. */
  runtimeInfo(request: OpaqueAny): Promise<RuntimeInfo>;
}

/** `containerd.services.introspection.v1.Introspection`. Source: containerd plugins/services/introspection. */
export function introspectionRpc(options: IntrospectionOptions): Handlers<typeof Introspection> {
  const all = parts(options.node);
  return {
    async plugins({ filters }) {
      const filter = parseFilters(filters);
      const chosen = all.filter((part) => filter.matches(objectAdaptor({ type: part.type, id: part.id })));
      return { plugins: chosen.map(partToProto) };
    },

    async server() {
      return {
        uuid: options.uuid,
        pid: BigInt(process.pid),
        pidns: BigInt(statSync('/proc/self/ns/pid').ino),
      };
    },

    async pluginInfo({ type, id, options: extra }) {
      const part = all.find((candidate) => candidate.type === type && candidate.id === id);
      if (!part) throw notFound(`plugin ${JSON.stringify(`${type}.${id}`)}`);
      if (!extra) return { plugin: partToProto(part) };
      if (type !== RUNTIME.type || id !== RUNTIME.id)
        throw unimplemented(`info of plugin ${JSON.stringify(`${type}.${id}`)}`);
      const info = create(RuntimeInfoSchema, await options.runtimeInfo(extra));
      const value = toBinary(RuntimeInfoSchema, info);
      return { plugin: partToProto(part), extra: { typeUrl: RuntimeInfoSchema.typeName, value } };
    },
  };
}

function partToProto(part: Part) {
  const { os, architecture, variant } = hostPlatform();
  return {
    type: part.type,
    id: part.id,
    platforms: part.hasPlatform ? [{ os, architecture, variant: variant ?? '' }] : [],
    exports: { ...part.exports },
    capabilities: [...(part.capabilities ?? [])],
    ...(part.isMissing && {
      initErr: { code: GrpcCode.Unimplemented, message: `${part.id}: not implemented`, details: [] },
    }),
  };
}
