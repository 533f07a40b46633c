import { fromBinary } from '@bufbuild/protobuf';
import { invalidArgument, messageOf } from '@longshore/errors';
import { AttachRequestSchema } from '@longshore/proto/longshore/node/v1/stdio';
import { textAt } from '../../door/request-fields.ts';

/** Finds the id of a container in a request, or in the first message of its stream. */
type Find = (message: Uint8Array) => string;

/**
 * By method path: requests by which their caller has a container do what it wants. What the container may do, its record says;
 * one that has the host lends it to whoever enters, or changes what it does.
 */
const ENTERED: Readonly<Record<string, Find>> = {
  '/containerd.services.tasks.v1.Tasks/Create': (message) => textAt(message, [1]),
  '/containerd.services.tasks.v1.Tasks/Exec': (message) => textAt(message, [1]),
  // Another root file system for a privileged container, or a harmless record while it runs.
  '/containerd.services.containers.v1.Containers/Update': (message) => textAt(message, [1, 1]),
  '/longshore.node.v1.StdioService/Create': (message) => textAt(message, [1]),
  '/longshore.node.v1.StdioService/Exec': (message) => textAt(message, [1, 1]),
  '/longshore.node.v1.StdioService/Attach': attachedWithInput,
};

export const ENTERING: readonly string[] = Object.keys(ENTERED);

/** Whether requests of this method can enter a container. */
export function enters(path: string): boolean {
  return Object.hasOwn(ENTERED, path);
}

/** The container that a request enters; empty for none. Throws InvalidArgument for what is no such message. */
export function enteredContainer(path: string, message: Uint8Array): string {
  return enters(path) ? ENTERED[path]!(message) : '';
}

/** Whoever only hears what is written reads. */
function attachedWithInput(bytes: Uint8Array): string {
  try {
    const { message } = fromBinary(AttachRequestSchema, bytes);
    return message.case === 'start' && message.value.stdin ? message.value.containerId : '';
  } catch (error) {
    throw invalidArgument(`request: it is no valid message, ${messageOf(error)}`, { cause: error });
  }
}
