import { describe, expect, it } from 'vitest';
import { decodeSpec, encodeSpec } from './spec-json.ts';
import { RLIM_INFINITY, withRlimit } from './spec-options/process.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe('a spec as JSON', () => {
  it('has all digits of an integer that is no exact number', () => {
    const spec = withRlimit('RLIMIT_CORE', 0, RLIM_INFINITY)({ ociVersion: '1.1.0' });
    expect(textOf(encodeSpec(spec))).toContain('{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":0}');
  });

  it('comes back as it was, with what nobody here knows', () => {
    const text =
      '{"ociVersion":"1.3.0","linux":{"resources":{"memory":{"limit":9223372036854771712,"swap":-1}},"netDevices":{"eth0":{}}},"x":[0.5]}';
    expect(textOf(encodeSpec(decodeSpec(bytesOf(text))))).toBe(text);
    expect(decodeSpec(bytesOf(text)).linux?.resources?.memory).toEqual({
      limit: 9223372036854771712n,
      swap: -1,
    });
  });

  it.each(['', '[]', 'null', '{"ociVersion":'])('is refused as %j', (text) => {
    expect(() => decodeSpec(bytesOf(text))).toThrow('invalid argument');
  });
});
