import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { invalidArgument, messageOf } from '@longshore/errors';
import {
  CreateContainerRequestSchema,
  UpdateContainerRequestSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import {
  CheckpointTaskRequestSchema,
  CreateTaskRequestSchema,
  ExecProcessRequestSchema,
  UpdateTaskRequestSchema,
} from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { TransferRequestSchema } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { OCIRegistrySchema } from '@longshore/proto/containerd/types/transfer/registry';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import { CreateRequestSchema, ExecRequestSchema } from '@longshore/proto/longshore/node/v1/stdio';
import { hostReasonOfContainer, hostReasonOfRuntime, hostReasonOfStdio } from './container-reason.ts';
import {
  firstOf,
  type HostReason,
  hostReasonOfProcess,
  hostReasonOfResources,
  ofAnnotations,
} from './owns-host.ts';
import { hostReasonOfCheckpoint, hostReasonOfOptions } from './runtime-options.ts';

/** Looks into the request of one method, or the first message of its stream. */
export type RequestJudge = (message: Uint8Array) => HostReason;

/** By method path: requests that may give their caller the host. */
const JUDGES: Readonly<Record<string, RequestJudge>> = {
  '/containerd.services.containers.v1.Containers/Create': reader(
    CreateContainerRequestSchema,
    ({ container }) => hostReasonOfContainer(container),
  ),
  '/containerd.services.containers.v1.Containers/Update': reader(
    UpdateContainerRequestSchema,
    ({ container }) => hostReasonOfContainer(container),
  ),
  '/containerd.services.tasks.v1.Tasks/Create': reader(CreateTaskRequestSchema, (request) =>
    firstOf(
      () => (request.rootfs.length > 0 ? 'its root file system is of mounts on the host' : undefined),
      () => ofStdio(request),
      () => (request.checkpoint ? 'it is restored from an image of processes' : undefined),
      () => hostReasonOfOptions(request.options),
      () => (request.runtimePath === '' ? undefined : hostReasonOfRuntime(`/${request.runtimePath}`)),
      () => (request.taskApiAddress === '' ? undefined : 'it goes to a chosen shim'),
    ),
  ),
  '/containerd.services.tasks.v1.Tasks/Exec': reader(ExecProcessRequestSchema, (request) =>
    firstOf(
      () => ofStdio(request),
      () => ofProcess(request.spec),
    ),
  ),
  '/containerd.services.tasks.v1.Tasks/Update': reader(
    UpdateTaskRequestSchema,
    ({ resources, annotations }) =>
      firstOf(
        () => ofAnnotations(annotations),
        () => resources && hostReasonOfResources(resources.value),
      ),
  ),
  '/containerd.services.tasks.v1.Tasks/Checkpoint': reader(CheckpointTaskRequestSchema, ({ options }) =>
    hostReasonOfCheckpoint(options),
  ),
  '/longshore.node.v1.StdioService/Create': reader(CreateRequestSchema, ({ options }) =>
    hostReasonOfOptions(options),
  ),
  '/longshore.node.v1.StdioService/Exec': reader(ExecRequestSchema, ({ message }) =>
    message.case === 'start' ? ofProcess(message.value.spec) : undefined,
  ),
  '/containerd.services.transfer.v1.Transfer/Transfer': reader(
    TransferRequestSchema,
    ({ source, destination }) => ofTransfer(source) ?? ofTransfer(destination),
  ),
  ...always('its mounts are paths of the host', [
    '/containerd.services.diff.v1.Diff/Apply',
    '/containerd.services.diff.v1.Diff/Diff',
    '/containerd.services.mounts.v1.Mounts/Activate',
    '/containerd.services.mounts.v1.Mounts/Update',
  ]),
  ...always('a sandbox is what its shim makes of it', [
    '/containerd.services.sandbox.v1.Store/Create',
    '/containerd.services.sandbox.v1.Store/Update',
    '/containerd.services.sandbox.v1.Controller/Create',
    '/containerd.services.sandbox.v1.Controller/Update',
  ]),
};

export const JUDGED: readonly string[] = Object.keys(JUDGES);

/** Undefined for methods whose requests cannot give anyone the host. */
export function judgeOf(path: string): RequestJudge | undefined {
  return Object.hasOwn(JUDGES, path) ? JUDGES[path] : undefined;
}

/** Throws InvalidArgument for what is no such message. */
function reader<S extends DescMessage>(
  schema: S,
  judge: (request: MessageShape<S>) => HostReason,
): RequestJudge {
  return (message) => {
    let request: MessageShape<S>;
    try {
      request = fromBinary(schema, message);
    } catch (error) {
      throw invalidArgument(`request: it is no valid message, ${messageOf(error)}`, { cause: error });
    }
    return judge(request);
  };
}

function always(reason: string, paths: readonly string[]): Record<string, RequestJudge> {
  return Object.fromEntries(paths.map((path) => [path, () => reason]));
}

function ofStdio({ stdin, stdout, stderr }: { stdin: string; stdout: string; stderr: string }): HostReason {
  return hostReasonOfStdio(stdin) ?? hostReasonOfStdio(stdout) ?? hostReasonOfStdio(stderr);
}

/** Of one side of a transfer. Other kinds name nothing outside of the namespace. */
function ofTransfer(side: Any | undefined): HostReason {
  if (!side?.typeUrl.endsWith(OCIRegistrySchema.typeName)) return undefined;
  const { resolver } = fromBinary(OCIRegistrySchema, side.value);
  return resolver?.hostDir
    ? `its registries are described in ${JSON.stringify(resolver.hostDir)}`
    : undefined;
}

function ofProcess(spec: Any | undefined): HostReason {
  if (!spec) return undefined;
  if (spec.typeUrl !== JsonTypeUrl.Process) return `a process of type ${JSON.stringify(spec.typeUrl)}`;
  return hostReasonOfProcess(spec.value);
}
