import { loadConfig } from '@longshore/kit';
import { expect, it } from 'vitest';
import { keys } from './config.ts';

it('relays schemas whose names can go into SQL, one at least', () => {
  const load = (schemas: unknown) =>
    loadConfig(keys, { DATABASE_URL: 'postgres://u@/db' }, { relaySchemas: schemas });
  expect(load('content,image').relaySchemas).toEqual(['content', 'image']);
  expect(() => load('content,')).toThrow('may hold small letters');
  expect(() => load('a"b')).toThrow('may hold small letters');
  expect(() => load([])).toThrow('must name one at least');
});
