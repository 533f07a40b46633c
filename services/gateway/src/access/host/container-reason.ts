import type { Any } from '@bufbuild/protobuf/wkt';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import { firstOf, type HostReason, hostReasonOfSpec } from './owns-host.ts';
import { hostReasonOfOptions } from './runtime-options.ts';

/** Where a task that its node starts again writes to. */
const RESTART_LOG_LABELS = ['containerd.io/restart.loguri', 'containerd.io/restart.logpath'];

/** `io.containerd.runc.v2`: names an installed shim, rather than a file. */
const RUNTIME_NAME = /^[\w-]+(\.[\w-]+)+$/;

/** The agent keeps the output, in files of its own. */
const KEPT_LOG = /^longshore:\/\/log(\?|$)/;

type Value = Pick<Any, 'typeUrl' | 'value'>;

/** What of a container's record decides. */
export interface ContainerParts {
  labels: Record<string, string>;
  runtime?: { name: string; options?: Value | undefined } | undefined;
  spec?: Value | undefined;
}

/** Why a container's record would give its owner the host; undefined when it would not. Fields that are left out say nothing. */
export function hostReasonOfContainer(container: ContainerParts | undefined): HostReason {
  if (!container) return undefined;
  const { labels, runtime, spec } = container;
  return firstOf(
    () => runtime && hostReasonOfRuntime(runtime.name),
    () => hostReasonOfOptions(runtime?.options),
    () => {
      const label = RESTART_LOG_LABELS.find((name) => labels[name] && hostReasonOfStdio(labels[name]));
      return label && `label ${label}`;
    },
    () => {
      if (!spec || (spec.typeUrl === '' && spec.value.length === 0)) return undefined;
      if (spec.typeUrl !== JsonTypeUrl.Spec) return `a spec of type ${JSON.stringify(spec.typeUrl)}`;
      return hostReasonOfSpec(spec.value);
    },
  );
}

export function hostReasonOfRuntime(name: string): HostReason {
  if (name === '' || RUNTIME_NAME.test(name)) return undefined;
  return `the runtime ${JSON.stringify(name)} is a file of the host`;
}

/** Of a path or URI for a standard stream: shims open any file of the host, and run any program. */
export function hostReasonOfStdio(uri: string): HostReason {
  return uri === '' || KEPT_LOG.test(uri) ? undefined : `its output or input is ${JSON.stringify(uri)}`;
}
