import type { DescMethod } from '@bufbuild/protobuf';

/** Calls that last as long as what they wait for; `package.Service/Method`. */
const WAITING: ReadonlySet<string> = new Set([
  'containerd.services.tasks.v1.Tasks/Wait',
  'containerd.services.tasks.v1.Tasks/Checkpoint',
  'containerd.services.transfer.v1.Transfer/Transfer',
  'containerd.services.diff.v1.Diff/Apply',
  'containerd.services.diff.v1.Diff/Diff',
  'containerd.services.sandbox.v1.Controller/Wait',
  'longshore.node.v1.TaskService/Stop',
  'longshore.node.v1.TaskService/StopAll',
]);

/** Whether a time limit for calls in general makes sense for this one. */
export function mayBeLimited(method: DescMethod): boolean {
  return method.methodKind === 'unary' && !WAITING.has(`${method.parent.typeName}/${method.name}`);
}
