import type { Any } from '@bufbuild/protobuf/wkt';
import { STOP_SIGNAL_LABEL } from '@longshore/oci';
import type { ContainerOption } from './container-draft.ts';
import type { ContainerImage } from './container-image.ts';

/** Says what the container was made from; takes nothing of it. */
export function withImage(image: Pick<ContainerImage, 'name'>): ContainerOption {
  return withImageName(image.name);
}

export function withImageName(name: string): ContainerOption {
  return ({ record }) => {
    record.image = name;
  };
}

/** Adds to the labels that there are. */
export function withLabels(labels: Readonly<Record<string, string>>): ContainerOption {
  return ({ record }) => {
    record.labels = { ...record.labels, ...labels };
  };
}

/** The image's own labels, beneath those that are there already. */
export function withImageLabels(image: ContainerImage): ContainerOption {
  return async ({ record, configOf }) => {
    const { config } = await configOf(image);
    record.labels = { ...config?.Labels, ...record.labels };
  };
}

/** Keeps the signal that the image wants to be stopped with, where those who stop the container look for it. */
export function withImageStopSignal(image: ContainerImage, fallback = 'SIGTERM'): ContainerOption {
  return async (draft) => {
    const { config } = await draft.configOf(image);
    await withLabels({ [STOP_SIGNAL_LABEL]: config?.StopSignal || fallback })(draft);
  };
}

/** The shim that runs it, e.g. `io.containerd.runc.v2`, which is the default. */
export function withRuntime(name: string, options?: Pick<Any, 'typeUrl' | 'value'>): ContainerOption {
  return ({ record }) => {
    record.runtime = options ? { name, options } : { name };
  };
}

/** Data of a client's own. */
export function withExtension(name: string, value: Pick<Any, 'typeUrl' | 'value'>): ContainerOption {
  return ({ record }) => {
    record.extensions = { ...record.extensions, [name]: value };
  };
}

/** The sandbox that its task joins. */
export function withSandbox(id: string): ContainerOption {
  return ({ record }) => {
    record.sandbox = id;
  };
}
