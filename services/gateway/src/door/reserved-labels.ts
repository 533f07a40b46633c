import type { DescField, DescMessage, DescService } from '@bufbuild/protobuf';
import { invalidArgument } from '@longshore/errors';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { Controller, Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { ReservedLabel } from '@longshore/proto/headers';
import { valuesAt } from './request-fields.ts';

const SERVICES = [Containers, Content, Images, Leases, Namespaces, Store, Controller, Snapshots];

const RESERVED: ReadonlySet<string> = new Set(Object.values(ReservedLabel));

/** By method path: the field numbers that lead to the keys of labels in its request. */
const LABEL_KEYS: ReadonlyMap<string, readonly (readonly number[])[]> = new Map(SERVICES.flatMap(labelKeys));

/** Whether requests of this method can give labels. Only unary methods: a blob's bytes are not looked into. */
export function writesLabels(path: string): boolean {
  return LABEL_KEYS.has(path);
}

/** Throws InvalidArgument when a request gives something a label that is longshore's own. */
export function refuseReservedLabels(path: string, message: Uint8Array): void {
  for (const keyPath of LABEL_KEYS.get(path) ?? []) {
    for (const key of valuesAt(message, keyPath)) {
      const label = Buffer.from(key).toString();
      if (RESERVED.has(label)) throw invalidArgument(`label ${JSON.stringify(label)}: it is reserved`);
    }
  }
}

function labelKeys(service: DescService): [string, number[][]][] {
  const unary = service.methods.filter(({ methodKind }) => methodKind === 'unary');
  return unary
    .map((method): [string, number[][]] => [
      `/${service.typeName}/${method.name}`,
      [...labelFields(method.input), ...method.input.fields.flatMap(labelFieldsBelow)],
    ])
    .filter(([, paths]) => paths.length > 0);
}

function labelFieldsBelow(field: DescField): number[][] {
  if (field.fieldKind !== 'message') return [];
  return labelFields(field.message).map((path) => [field.number, ...path]);
}

/** A map is a list of entries whose first field is the key. */
function labelFields(message: DescMessage): number[][] {
  return message.fields
    .filter(({ fieldKind, name }) => fieldKind === 'map' && name === 'labels')
    .map(({ number }) => [number, 1]);
}
