import { fromBinary } from '@bufbuild/protobuf';
import { LongshoreError } from '@longshore/errors';
import { BootstrapResultSchema } from '@longshore/proto/containerd/runtime/bootstrap/v1/bootstrap';

/** How a shim can be reached. */
export interface BootstrapResult {
  /** Of the task service: 2 or 3. */
  version: number;
  /** `unix://<path>`, or a name in the abstract socket space without a scheme. */
  address: string;
  protocol: 'ttrpc' | 'grpc';
}

/** Shims up to containerd 1.6 answer with an address alone; theirs is version 2. */
const OLDEST_VERSION = 2;
const NEWEST_VERSION = 3;

/**
 * Reads what a shim printed when it started: a protobuf message since containerd 2.3, JSON since 1.7, before that the
 * bare address. Source: containerd core/runtime/v2/shim.go parseStartResponse.
 */
export function parseBootstrap(printed: Uint8Array): BootstrapResult {
  const text = new TextDecoder().decode(printed).trim();
  const result = fromProtobuf(printed) ??
    fromJson(text) ?? { version: OLDEST_VERSION, address: text, protocol: 'ttrpc' };
  if (result.version > NEWEST_VERSION) {
    throw new LongshoreError(
      'Unimplemented',
      `unsupported shim version (${result.version}): not implemented`,
    );
  }
  return result;
}

function fromProtobuf(printed: Uint8Array): BootstrapResult | undefined {
  try {
    const { version, address, protocol } = fromBinary(BootstrapResultSchema, printed);
    return checked({ version, address, protocol });
  } catch {
    // Text, read as protobuf, breaks off somewhere; then it is one of the older forms.
    return undefined;
  }
}

function fromJson(text: string): BootstrapResult | undefined {
  try {
    return checked(JSON.parse(text));
  } catch {
    // An address is no JSON.
    return undefined;
  }
}

function checked(value: {
  version?: unknown;
  address?: unknown;
  protocol?: unknown;
}): BootstrapResult | undefined {
  const { version, address, protocol } = value;
  if (typeof version !== 'number' || version < OLDEST_VERSION) return undefined;
  if (typeof address !== 'string' || address === '') return undefined;
  return { version, address, protocol: String(protocol).toLowerCase() === 'grpc' ? 'grpc' : 'ttrpc' };
}
