import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Resume } from '@longshore/kit';
import type { Digest } from '@longshore/oci';
import {
  ReadContentRequestSchema,
  ReadContentResponseSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import { framed } from './grpc-message.ts';

/** Goes on with a read of `start` to `end` where it was cut. */
export function resumedRead(
  digest: Digest,
  { start, end }: { start: number; end: number },
  totalBytes: number,
): Resume {
  let position = start;
  /** Of the answer's own offsets, which count from where it was asked to begin. */
  let shift = 0;
  return {
    pass(message) {
      const { offset, data } = fromBinary(ReadContentResponseSchema, message);
      position += data.length;
      if (shift === 0) return message;
      const answer = { offset: offset + BigInt(shift), data };
      return toBinary(ReadContentResponseSchema, create(ReadContentResponseSchema, answer));
    },
    rest() {
      shift = position - start;
      // Size 0 reads to the end of the blob: when nothing is missing but the end itself, there must be nothing.
      const [offset, size] = position < end ? [position, end - position] : [totalBytes, 0];
      const request = { digest, offset: BigInt(offset), size: BigInt(size) };
      return framed(toBinary(ReadContentRequestSchema, create(ReadContentRequestSchema, request)));
    },
  };
}
