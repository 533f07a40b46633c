/**
 * Asks the node to remove a container, its task and its snapshot once the task has ended, or was deleted, as `run --rm` wants it: nobody has to
 * stay for that. Not together with `containerd.io/restart.status`. One whose task is never started goes after a while.
 */
export const REMOVE_LABEL = 'longshore.io/remove';

/** The values of {@link REMOVE_LABEL}. */
export const Removal = {
  /** What its maker says. */
  AfterExit: 'after-exit',
  /** Set by the node: its task has ended, and what is left of the container is being removed. */
  Due: 'due',
} as const;

/** Asks the node to keep the task as it says. Source: containerd core/runtime/restart/restart.go. */
export const RESTART_STATUS_LABEL = 'containerd.io/restart.status';
