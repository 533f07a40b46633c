import { create } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import type { OpaqueAny } from '@longshore/kit';

export function anyFromProto(any: Any | undefined): OpaqueAny | undefined {
  return any && { typeUrl: any.typeUrl, value: any.value };
}

export function anyMapFromProto(map: Record<string, Any>): Record<string, OpaqueAny> {
  return Object.fromEntries(
    Object.entries(map).map(([name, { typeUrl, value }]) => [name, { typeUrl, value }]),
  );
}

export function anyMapToProto(map: Record<string, OpaqueAny>): Record<string, Any> {
  return Object.fromEntries(Object.entries(map).map(([name, any]) => [name, create(AnySchema, any)]));
}

/** The shim's name, and the options for it that a request may leave out. */
export interface Runtime {
  name: string;
  options: OpaqueAny | undefined;
}

export function runtimeFromProto(message: { name: string; options?: Any | undefined } | undefined): Runtime {
  return { name: message?.name ?? '', options: anyFromProto(message?.options) };
}

export function runtimeToProto({ name, options }: Runtime) {
  return { name, ...(options && { options }) };
}
