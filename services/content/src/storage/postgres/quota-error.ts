import { LongshoreError } from '@longshore/errors';
import { formatBytes } from '../../domain/quota.ts';

/** As migrations/0007_quotas.sql raises it. */
const QUOTA_EXCEEDED = 'LQ001';

interface Excess {
  namespace: string;
  what: 'bytes' | 'ingests';
  used: number;
  limit: number;
  more: number;
}

/** A quota's refusal as ResourceExhausted, naming the limit and the use: nothing was changed. Other errors stay as they are. */
export function fromQuotaError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code, detail } = error as { code?: string; detail?: string };
  if (code !== QUOTA_EXCEEDED || detail === undefined) return error;
  const { namespace, what, used, limit, more }: Excess = JSON.parse(detail);
  const use =
    what === 'bytes'
      ? `${formatBytes(used)} of ${formatBytes(limit)} stored, ${formatBytes(more)} more asked for`
      : `${used} of ${limit} ingests open`;
  return new LongshoreError(
    'ResourceExhausted',
    `namespace ${JSON.stringify(namespace)}: ${use}: quota exceeded`,
    {
      cause: error,
    },
  );
}

/** Gives the errors of `work` in longshore's kinds. */
export async function withinQuota<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw fromQuotaError(error);
  }
}
