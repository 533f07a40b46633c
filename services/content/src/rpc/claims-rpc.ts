import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import { parseDigest } from '@longshore/oci';
import {
  type ClaimService,
  AcquireResponse_Result as Result,
} from '@longshore/proto/longshore/content/v1/blobs';
import type { ClaimName, Claims } from '../domain/claims.ts';
import type { ClaimRepository } from '../storage/postgres/claim-repository.ts';

/** A registry's name and a random holder are shorter by far; an index holds no more than this. */
const MAX_NAME_LENGTH = 512;
/** Longer waits are several calls. */
const MAX_WAIT_MS = 5 * 60 * 1000;

/** `longshore.content.v1.ClaimService`. `stopping`: waits end, so that their callers ask another replica. */
export function claimsRpc(
  claims: Claims,
  records: ClaimRepository,
  stopping: AbortSignal,
): Handlers<typeof ClaimService> {
  return {
    async acquire(request, call) {
      const { waitMs } = request;
      const { scope, deadline, signal } = call;
      const patience = { waitMs: Math.min(MAX_WAIT_MS, waitMs), deadline, signal, hurry: stopping };
      const state = await claims.acquire(scope, nameOf(request), holderOf(request), patience);
      if (state.kind === 'stored') return { result: Result.STORED };
      if (state.kind === 'busy') return { result: Result.BUSY, offset: BigInt(state.offsetBytes) };
      return { result: Result.HELD, expiresAt: timestampFromDate(state.expiresAt) };
    },

    async renew(request, { scope }) {
      const { offset } = request;
      const expiresAt = await records.renew(scope, nameOf(request), holderOf(request), Number(offset));
      return { expiresAt: timestampFromDate(expiresAt) };
    },

    async release(request, { scope }) {
      await records.release(scope, nameOf(request), holderOf(request));
      return {};
    },
  };
}

function nameOf({ registry, digest }: { registry: string; digest: string }): ClaimName {
  return { registry: checkName('registry', registry), digest: parseDigest(digest) };
}

function holderOf({ holder }: { holder: string }): string {
  return checkName('holder', holder);
}

function checkName(what: string, name: string): string {
  if (name === '' || name.length > MAX_NAME_LENGTH) {
    throw invalidArgument(`${what} ${JSON.stringify(name)}: want 1 to ${MAX_NAME_LENGTH} characters`);
  }
  return name;
}
