import { create, toBinary } from '@bufbuild/protobuf';
import {
  CreateContainerRequestSchema,
  DeleteContainerRequestSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import { describe, expect, it } from 'vitest';
import { textAt, valuesAt } from './request-fields.ts';

const REQUEST = toBinary(
  CreateContainerRequestSchema,
  create(CreateContainerRequestSchema, {
    container: {
      id: 'wéb',
      labels: { a: '1', b: '2' },
      spec: { typeUrl: 't', value: new Uint8Array(300) },
      createdAt: { seconds: 5n },
    },
  }),
);

describe('valuesAt', () => {
  it('finds nested values among others', () => {
    expect(textAt(REQUEST, [1, 1])).toBe('wéb');
    expect(valuesAt(REQUEST, [1, 2, 1]).map((key) => Buffer.from(key).toString())).toEqual(['a', 'b']);
    expect(valuesAt(REQUEST, [2, 1])).toEqual([]);
  });

  it('takes the last of a repeated one, and none for empty', () => {
    const one = toBinary(DeleteContainerRequestSchema, create(DeleteContainerRequestSchema, { id: 'one' }));
    const two = toBinary(DeleteContainerRequestSchema, create(DeleteContainerRequestSchema, { id: 'two' }));
    expect(textAt(Buffer.concat([one, two]), [1])).toBe('two');
    expect(textAt(new Uint8Array(), [1])).toBe('');
  });

  it('refuses what is cut off', () => {
    expect(() => valuesAt(REQUEST.subarray(0, 40), [1, 1])).toThrow(/^request: .*invalid argument$/);
  });
});
