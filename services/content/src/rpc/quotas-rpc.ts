import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Handlers } from '@longshore/kit';
import { parseIdentifier } from '@longshore/oci';
import type {
  Limits as LimitsMessage,
  QuotaSchema,
  QuotaService,
} from '@longshore/proto/longshore/content/v1/quotas';
import { type Limits, type Quota, validateLimits } from '../domain/quota.ts';
import type { QuotaRepository } from '../storage/postgres/quota-repository.ts';

/** `longshore.content.v1.QuotaService`. */
export function quotasRpc(quotas: QuotaRepository): Handlers<typeof QuotaService> {
  const quotaOf = async (namespace: string) => quotaToProto(await quotas.get(namespace));
  return {
    async set({ namespace, limits }) {
      parseIdentifier(namespace);
      const own = limitsFromProto(limits);
      validateLimits(own);
      await quotas.set(namespace, own);
      return { quota: await quotaOf(namespace) };
    },

    async get({ namespace }) {
      parseIdentifier(namespace);
      return { quota: await quotaOf(namespace) };
    },

    async list() {
      return { quotas: (await quotas.list()).map(quotaToProto) };
    },
  };
}

function limitsFromProto(limits: LimitsMessage | undefined): Limits {
  return { storedBytes: numberOf(limits?.storedBytes), openIngests: numberOf(limits?.openIngests) };
}

function quotaToProto(quota: Quota): MessageInitShape<typeof QuotaSchema> {
  const { storedBytes, openIngests } = quota.own;
  return {
    namespace: quota.namespace,
    own: {
      ...(storedBytes !== undefined && { storedBytes: BigInt(storedBytes) }),
      ...(openIngests !== undefined && { openIngests: BigInt(openIngests) }),
    },
    maxStoredBytes: BigInt(quota.maxStoredBytes),
    maxOpenIngests: BigInt(quota.maxOpenIngests),
    storedBytes: BigInt(quota.storedBytes),
    openIngests: BigInt(quota.openIngests),
  };
}

function numberOf(value: bigint | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}
