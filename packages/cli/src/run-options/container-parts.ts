import type { ContainerImage } from '@longshore/client';
import {
  type ContainerOption,
  imageConfig,
  user,
  withImage,
  withImageLabels,
  withImageStopSignal,
  withLabels,
  withNewSnapshot,
  withNewSpec,
  withRuntime,
  withSnapshotter,
} from '@longshore/client';
import { REMOVE_LABEL, RESTART_STATUS_LABEL, Removal, STOP_SIGNAL_LABEL } from '@longshore/oci';
import {
  composeSpecOptions,
  type SpecOption,
  withAnnotations,
  withDevShmSize,
  withEnv,
  withHostname,
  withMounts,
  withProcessArgs,
  withProcessCwd,
  withSysctl,
  withTty,
  withTtySize,
} from '@longshore/oci/runtime-spec';
import type { Environment } from '../host.ts';
import { parseSignal } from '../signals.ts';
import type { TerminalSize } from '../terminal/raw-terminal.ts';
import { environmentOf, labelsOf } from './environment.ts';
import { isolationOptions } from './isolation.ts';
import { limitOptions } from './limits.ts';
import { parseMount, parseTmpfs, parseVolume } from './mounts.ts';
import type { RunFlags } from './run-flags.ts';

const KIB = 1024;
/** Source: containerd core/runtime/restart/restart.go. */
const RESTART_POLICY = 'containerd.io/restart.policy';

export interface RunSubject {
  id: string;
  args: readonly string[];
  env: Environment;
  /** The node is this machine. */
  isHere: boolean;
  size: TerminalSize | undefined;
  /** Once it has ended: whoever runs it need not be there then. */
  isRemovedByNode: boolean;
}

/** From flags to what makes the container of an image. All flags are checked by then: throws UsageError. */
export function containerParts(
  flags: RunFlags,
  subject: RunSubject,
): (image: ContainerImage) => ContainerOption[] {
  const labels = labelsFor(flags, subject);
  const spec = specOptions(flags, subject);
  const { snapshotter, runtime, entrypoint } = flags;
  return (image) => [
    withImage(image),
    ...(snapshotter ? [withSnapshotter(snapshotter)] : []),
    ...(runtime ? [withRuntime(runtime)] : []),
    withNewSnapshot(subject.id, image),
    withNewSpec(
      imageConfig(image, subject.args),
      ...(entrypoint ? [withProcessArgs([entrypoint, ...subject.args])] : []),
      ...(flags.user ? [user(flags.user)] : []),
      spec,
    ),
    withImageLabels(image),
    withImageStopSignal(image),
    withLabels(labels),
  ];
}

function labelsFor(
  { label = [], stopSignal, restart }: RunFlags,
  { isRemovedByNode }: RunSubject,
): Record<string, string> {
  return {
    ...labelsOf(label),
    ...(stopSignal && { [STOP_SIGNAL_LABEL]: String(parseSignal(stopSignal)) }),
    ...(isRemovedByNode && { [REMOVE_LABEL]: Removal.AfterExit }),
    ...(restart !== 'no' && { [RESTART_STATUS_LABEL]: 'running', [RESTART_POLICY]: restart }),
  };
}

function specOptions(flags: RunFlags, { id, env, isHere, size }: RunSubject): SpecOption {
  const { workdir, hostname = id.slice(0, 12), tty, shmSize, annotation = [], sysctl = [] } = flags;
  const mounts = [
    ...(flags.tmpfs ?? []).map(parseTmpfs),
    ...(flags.volume ?? []).map(parseVolume),
    ...(flags.mount ?? []).map(parseMount),
  ];
  const terminal = size ? composeSpecOptions(withTty, withTtySize(size.columns, size.rows)) : withTty;
  return composeSpecOptions(
    ...(tty ? [terminal] : []),
    withEnv(environmentOf(flags.env ?? [], flags.envFile ?? [], env)),
    ...(workdir ? [withProcessCwd(workdir)] : []),
    // The node keeps its own name, where its namespace is shared.
    ...(flags.uts === 'host' ? [] : [withHostname(hostname)]),
    withMounts(mounts),
    ...(shmSize ? [withDevShmSize(Math.ceil(shmSize / KIB))] : []),
    withAnnotations(labelsOf(annotation, '--annotation')),
    withSysctl(labelsOf(sysctl, '--sysctl')),
    limitOptions(flags),
    isolationOptions(flags, isHere),
  );
}
