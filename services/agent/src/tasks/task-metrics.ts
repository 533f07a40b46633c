import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { isKind, LongshoreError, messageOf } from '@longshore/errors';
import { type Filter, objectAdaptor, parseFilters } from '@longshore/filters';
import type { MetricSchema } from '@longshore/proto/containerd/types/metrics';
import type { Task } from './task.ts';
import type { TaskCall, TaskContext } from './task-context.ts';

/** A shim that does not answer must not hold the others up. Source: containerd core/metrics/metrics.go. */
export const STATS_TIMEOUT_MS = 2_000;

export type TaskMetric = MessageInitShape<typeof MetricSchema>;

/** Usage of the tasks that the filters match; one that cannot tell is left out. */
export async function taskMetrics(
  { log }: TaskContext,
  tasks: readonly Task[],
  filters: readonly string[],
  call: TaskCall,
): Promise<TaskMetric[]> {
  const filter = parse(filters);
  const wanted = tasks.filter(({ id, namespace }) => filter.matches(objectAdaptor({ id, namespace })));
  const metrics = await Promise.all(
    wanted.map(async (task): Promise<TaskMetric | undefined> => {
      const timestamp = timestampNow();
      try {
        const { stats } = await task.call('stats', {}, call, STATS_TIMEOUT_MS);
        return stats && { timestamp, id: task.id, data: stats };
      } catch (error) {
        const { namespace, id } = task;
        if (!isKind(error, 'NotFound'))
          log.warn({ namespace, id, error: messageOf(error) }, 'no metrics of task');
        return undefined;
      }
    }),
  );
  return metrics.filter((metric) => metric !== undefined);
}

/** containerd does not map this one error. */
function parse(filters: readonly string[]): Filter {
  try {
    return parseFilters(filters);
  } catch (error) {
    throw new LongshoreError('Unknown', messageOf(error), { cause: error });
  }
}
