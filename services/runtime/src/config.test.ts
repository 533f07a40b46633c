import { loadConfig } from '@longshore/kit';
import { expect, it } from 'vitest';
import { keys } from './config.ts';

it('reads where nodes reach each service from text, JSON or a table', () => {
  const load = (nodeAddresses: unknown) =>
    loadConfig(keys, { DATABASE_URL: 'postgres://u@/db' }, { nodeAddresses }).nodeAddresses;
  const read = { content: 'a:1,b:2', image: 'c:3' };
  expect(load('content=a:1,b:2; image=c:3;')).toEqual(read);
  expect(load(JSON.stringify(read))).toEqual(read);
  expect(load(read)).toEqual(read);
  expect(() => load('{"content":7}')).toThrow(/want service=.* \(must be text\)/);
  expect(() => load('content=')).toThrow(/want service=/);
  expect(() => load({ content: 7 })).toThrow('must be text');
});
