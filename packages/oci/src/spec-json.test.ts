import { expect, it } from 'vitest';
import { encodeSpec } from './spec-json.ts';
import { RLIM_INFINITY, withRlimit } from './spec-options/process.ts';

it('a spec as JSON has all digits of an integer that is no exact number', () => {
  const spec = withRlimit('RLIMIT_CORE', 0, RLIM_INFINITY)({ ociVersion: '1.1.0' });
  const text = new TextDecoder().decode(encodeSpec(spec));
  expect(text).toContain('{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":0}');
});
