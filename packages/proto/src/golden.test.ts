import {
  create,
  type DescMessage,
  equals,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { anyToJson } from './any-registry.ts';
import { CreateContainerRequestSchema } from './gen/containerd/services/containers/v1/containers_pb.js';
import {
  WriteAction,
  WriteContentRequestSchema,
  WriteContentResponseSchema,
} from './gen/containerd/services/content/v1/content_pb.js';
import { CreateRequestSchema } from './gen/containerd/services/leases/v1/leases_pb.js';
import { CreateNamespaceRequestSchema } from './gen/containerd/services/namespaces/v1/namespace_pb.js';
import { CreateTaskRequestSchema } from './gen/containerd/services/tasks/v1/tasks_pb.js';
import { EnvelopeSchema } from './gen/containerd/types/event_pb.js';

// Recorded between ctr and containerd 1.6.20 of Debian 12: messages as they are on a real socket.
const HELLO_DIGEST = 'sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03';
const HELLO_DIGEST_HEX = Buffer.from(HELLO_DIGEST).toString('hex');
const FIFO = '/run/containerd/fifo/3146617828/box-';

const RECORDED: [what: string, schema: DescMessage, value: MessageInitShape<DescMessage>, hex: string][] = [
  [
    'ctr namespaces create',
    CreateNamespaceRequestSchema,
    { namespace: { name: 'demo', labels: { team: 'a' } } },
    '0a110a0464656d6f12090a047465616d120161',
  ],
  [
    'ctr leases create',
    CreateRequestSchema,
    { id: 'l1', labels: { 'containerd.io/gc.expire': '2026-11-22T18:19:56Z', purpose: 'test' } },
    '0a026c311a2f0a17636f6e7461696e6572642e696f2f67632e6578706972651214323032362d31312d32325431383a31393a' +
      '35365a1a0f0a07707572706f7365120474657374',
  ],
  [
    'the STAT that opens an ingest',
    WriteContentRequestSchema,
    { action: WriteAction.STAT, ref: 'ref-1', total: 6n, expected: HELLO_DIGEST },
    `12057265662d3118062247${HELLO_DIGEST_HEX}`,
  ],
  [
    'a WRITE at offset 0',
    WriteContentRequestSchema,
    { action: WriteAction.WRITE, data: new TextEncoder().encode('hello\n') },
    '0801320668656c6c6f0a',
  ],
  [
    'a COMMIT',
    WriteContentRequestSchema,
    { action: WriteAction.COMMIT, total: 6n, expected: HELLO_DIGEST, offset: 6n },
    `080218062247${HELLO_DIGEST_HEX}2806`,
  ],
  [
    "containerd's answer to a COMMIT",
    WriteContentResponseSchema,
    {
      action: WriteAction.COMMIT,
      startedAt: { seconds: 1795367996n, nanos: 856180578 },
      updatedAt: { seconds: 1795367996n, nanos: 856180578 },
      offset: 6n,
      total: 6n,
      digest: HELLO_DIGEST,
    },
    `0802120c08bcc88cd80610e28ea198031a0c08bcc88cd80610e28ea19803200628063247${HELLO_DIGEST_HEX}`,
  ],
  [
    'ctr tasks create',
    CreateTaskRequestSchema,
    { containerId: 'box', stdin: `${FIFO}stdin`, stdout: `${FIFO}stdout`, stderr: `${FIFO}stderr` },
    `0a03626f782229${Buffer.from(`${FIFO}stdin`).toString('hex')}` +
      `2a2a${Buffer.from(`${FIFO}stdout`).toString('hex')}322a${Buffer.from(`${FIFO}stderr`).toString('hex')}`,
  ],
];

const ENVELOPE_HEX =
  '0a0c08bcc88cd80610b3fbffa703120464656d6f1a122f636f6e7461696e6572732f63726561746522610a21636f6e7461696e65' +
  '72642e6576656e74732e436f6e7461696e6572437265617465123c0a03626f781a350a15696f2e636f6e7461696e6572642e7275' +
  '6e632e7632121c0a1a636f6e7461696e6572642e72756e632e76312e4f7074696f6e73';

describe('bytes recorded from containerd', () => {
  it.each(RECORDED)('are ours for %s', (_what, schema, value, hex) => {
    const message = create(schema, value);
    expect(Buffer.from(toBinary(schema, message)).toString('hex')).toBe(hex);
    expect(equals(schema, fromBinary(schema, Buffer.from(hex, 'hex')), message)).toBe(true);
  });

  it('decode to the event that ctr printed', () => {
    const envelope = fromBinary(EnvelopeSchema, Buffer.from(ENVELOPE_HEX, 'hex'));
    expect(envelope).toMatchObject({ namespace: 'demo', topic: '/containers/create' });
    expect(envelope.timestamp).toMatchObject({ ...timestampFromMs(1795367996000), nanos: 889191859 });
    expect(anyToJson(envelope.event!)).toMatchObject({
      id: 'box',
      runtime: { name: 'io.containerd.runc.v2' },
    });
    expect(Buffer.from(toBinary(EnvelopeSchema, envelope)).toString('hex')).toBe(ENVELOPE_HEX);
  });

  it('keep fields that the .proto file does not know', () => {
    const bytes = Buffer.concat([Buffer.from(RECORDED[0]![3], 'hex'), Buffer.from('fa0703616263', 'hex')]);
    const request = fromBinary(CreateContainerRequestSchema, Buffer.from('fa0703616263', 'hex'));
    expect(Buffer.from(toBinary(CreateContainerRequestSchema, request)).toString('hex')).toBe('fa0703616263');
    expect(fromBinary(CreateNamespaceRequestSchema, bytes).namespace?.name).toBe('demo');
  });
});
