import { parseArgs } from 'node:util';
import { fromBinary } from '@bufbuild/protobuf';
import { AnySchema, timestampNow } from '@bufbuild/protobuf/wkt';
import { invalidArgument, messageOf } from '@longshore/errors';
import { Events } from '@longshore/proto/containerd/services/events/ttrpc/v1/events';
import { createTtrpcClient, dialTtrpc } from '@longshore/ttrpc';

const TIMEOUT_MS = 5_000;

/**
 * What a shim that does not speak ttrpc to us runs for each event: `--address A publish --topic T --namespace N`, the
 * event as an `Any` on standard input. It goes the way of all shims' events, so that an exit is known as one. Source:
 * containerd cmd/containerd/command/publish.go.
 */
export async function publish(args: readonly string[], input: Uint8Array): Promise<void> {
  const { address, topic, namespace } = parse(args);
  const event = decode(input);
  await using connection = await dialTtrpc(`${address}.ttrpc`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const envelope = { timestamp: timestampNow(), namespace, topic, event };
  await createTtrpcClient(Events, connection).forward({ envelope }, { timeoutMs: TIMEOUT_MS });
}

function parse(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { address: { type: 'string' }, topic: { type: 'string' }, namespace: { type: 'string' } },
    allowPositionals: true,
  });
  const { address, topic, namespace } = values;
  if (positionals.join(' ') !== 'publish' || !address || !topic || !namespace)
    throw invalidArgument('usage: --address ADDRESS publish --topic TOPIC --namespace NAMESPACE');
  return { address, topic, namespace };
}

function decode(input: Uint8Array) {
  try {
    return fromBinary(AnySchema, input);
  } catch (error) {
    throw invalidArgument(`event: ${messageOf(error)}`, { cause: error });
  }
}
