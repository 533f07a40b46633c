/** One call for a task of this node. */
export interface TaskCall {
  namespace: string;
  signal?: AbortSignal | undefined;
  deadline?: Date | undefined;
}
