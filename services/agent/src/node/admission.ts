import type { Handlers } from '@longshore/kit';
import type { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { DeletingContainers } from './deleting-containers.ts';
import type { Desired } from './desired.ts';

/** Tasks of a node that takes no new ones while it is cordoned, nor any of a container that is to go. */
export function admitting(
  tasks: Handlers<typeof Tasks>,
  desired: Desired,
  deleting: DeletingContainers,
): Handlers<typeof Tasks> {
  return {
    ...tasks,
    create: async (request, call) => {
      requireAdmitted(desired, deleting, call.namespace, request.containerId);
      return tasks.create!(request, call);
    },
  };
}

/** Throws FailedPrecondition while no task may be made of the container, or none at all. */
export function requireAdmitted(
  desired: Desired,
  deleting: DeletingContainers,
  namespace: string,
  id: string,
): void {
  desired.requireOpen();
  deleting.requireKept(namespace, id);
}
