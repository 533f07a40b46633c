import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { parseDigest } from '@longshore/oci';
import {
  ReadContentRequestSchema,
  ReadContentResponseSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import { describe, expect, it } from 'vitest';
import { messageIn } from './grpc-message.ts';
import { resumedRead } from './resumed-read.ts';

const DIGEST = parseDigest(`sha256:${'a'.repeat(64)}`);

function answer(offset: bigint, sizeBytes: number): Uint8Array {
  const data = new Uint8Array(sizeBytes);
  return toBinary(ReadContentResponseSchema, create(ReadContentResponseSchema, { offset, data }));
}

const offsetIn = (message: Uint8Array) => fromBinary(ReadContentResponseSchema, message).offset;
const asked = (rest: Buffer) => fromBinary(ReadContentRequestSchema, messageIn(rest)!);

describe('a read of a range that is cut', () => {
  it('asks for what is missing, and its offsets go on as if nothing had happened', () => {
    const read = resumedRead(DIGEST, { start: 100, end: 400 }, 1000);
    const first = answer(0n, 50);
    expect(read.pass(first)).toBe(first);
    expect(asked(read.rest())).toMatchObject({ digest: DIGEST, offset: 150n, size: 250n });
    expect(offsetIn(read.pass(answer(0n, 50)))).toBe(50n);
    expect(offsetIn(read.pass(answer(50n, 50)))).toBe(100n);
    expect(asked(read.rest())).toMatchObject({ offset: 250n, size: 150n });
  });

  it('asks for nothing more when only the end was missing', () => {
    const read = resumedRead(DIGEST, { start: 0, end: 400 }, 1000);
    read.pass(answer(0n, 400));
    expect(asked(read.rest())).toMatchObject({ offset: 1000n, size: 0n });
  });
});
