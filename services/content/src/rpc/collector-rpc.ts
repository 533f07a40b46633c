import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { LongshoreError, notFound } from '@longshore/errors';
import type { Call, Handlers } from '@longshore/kit';
import type { CollectorService } from '@longshore/proto/longshore/content/v1/collector';
import type { Candidate } from '../domain/collection.ts';
import type { UnreachedRecord } from '../domain/collection-report.ts';
import type { CollectionScheduler } from '../domain/collection-scheduler.ts';
import type { Collector } from '../domain/collector.ts';
import type { CollectionReportRepository } from '../storage/postgres/collection-report-repository.ts';
import { collectFor } from './leases-rpc.ts';

/** As containerd's lists have them. */
const BLOCK_SIZE = 100;

export interface CollectorParts {
  scheduler: CollectionScheduler;
  collector: Collector;
  reports: CollectionReportRepository;
  /** How long the bytes of a blob stay after they were buried. */
  graceMs: number;
}

/** `longshore.content.v1.CollectorService`. */
export function collectorRpc(parts: CollectorParts): Handlers<typeof CollectorService> {
  const { scheduler, collector, reports, graceMs } = parts;

  async function unreachedSince(call: Call, kind: string, key: string): Promise<Date | undefined> {
    const mark = await collector.dryRun(call.scope, { force: true });
    const found = mark.candidates.find((candidate) => candidate.kind === kind && candidate.key === key);
    const [unreached] = found ? await reports.unreached(call.scope, [found]) : [];
    return unreached?.since;
  }

  return {
    async collect({ wait, force }, call) {
      if (force) requireNoNode(call);
      if (wait || force) return { removed: BigInt(await collectFor(call, scheduler, { force })) };
      scheduler.request(call.scope);
      return {};
    },

    async *dryRun({ force }, call) {
      const { candidates } = await collector.dryRun(call.scope, { force });
      for (const block of blocksOf(candidates)) {
        yield { objects: (await reports.unreached(call.scope, block)).map(unreachedToProto) };
      }
    },

    async explain({ kind, key }, call) {
      const { scope } = call;
      const isThere = await reports.exists(scope, kind, key);
      const { holders, buried } =
        kind === 'content' ? await reports.whereabouts(key) : { holders: [], buried: [] };
      if (!isThere && holders.length + buried.length === 0) throw notFound(`${kind} ${JSON.stringify(key)}`);
      const chain = isThere ? await reports.chain(scope, kind, key) : undefined;
      const since = isThere && !chain ? await unreachedSince(call, kind, key) : undefined;
      return {
        chain: chain?.links.map(({ label = '', ...link }) => ({ ...link, label })) ?? [],
        rootReason: chain?.rootReason ?? '',
        ...(since && { unreachedSince: timestampFromDate(since) }),
        holders: [...holders],
        tombstones: buried.map(({ generation, buriedAt }) => ({
          generation,
          buriedAt: timestampFromDate(buriedAt),
          goesAfter: timestampFromDate(new Date(buriedAt.getTime() + graceMs)),
        })),
      };
    },
  };
}

function* blocksOf(candidates: readonly Candidate[]): Iterable<readonly Candidate[]> {
  for (let start = 0; start < candidates.length; start += BLOCK_SIZE) {
    yield candidates.slice(start, start + BLOCK_SIZE);
  }
}

function unreachedToProto({ kind, key, sizeBytes, since }: UnreachedRecord) {
  return {
    kind,
    key,
    ...(sizeBytes !== undefined && { sizeBytes }),
    ...(since && { since: timestampFromDate(since) }),
  };
}

/** What looks wrong is for an operator to judge. */
function requireNoNode({ peer }: Call): void {
  if (peer.kind !== 'node') return;
  throw new LongshoreError('PermissionDenied', `node ${JSON.stringify(peer.id)} may not force a collection`);
}
