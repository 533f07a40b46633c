import { loadConfig } from '@longshore/kit';
import { expect, it } from 'vitest';
import { keys } from './config.ts';

function load(env: NodeJS.ProcessEnv) {
  return loadConfig(keys, { DATABASE_URL: 'postgres://u@/db', ...env }, undefined);
}

it('takes URLs of the protocols that it can speak', () => {
  expect(
    load({
      LONGSHORE_CONTENT_S3_ENDPOINT: ' http://s3 ',
      LONGSHORE_CONTENT_BLOBS_URL: 'https://a, https://b/c',
    }),
  ).toMatchObject({
    s3Endpoint: 'http://s3',
    s3PublicUrl: 'http://s3',
    blobsUrls: ['https://a', 'https://b/c'],
  });
  expect(load({}).s3Endpoint).toBe('');
  expect(() => load({ LONGSHORE_CONTENT_S3_ENDPOINT: 's3' })).toThrow('"s3": must be a URL: http, https');
  expect(() => load({ LONGSHORE_CONTENT_BLOBS_URL: 'http://a' })).toThrow('must be a URL: https');
});

it('ends the prefix of keys with a slash', () => {
  expect(load({ LONGSHORE_CONTENT_S3_PREFIX: 'a/b' }).s3Prefix).toBe('a/b/');
  expect(load({}).s3Prefix).toBe('');
  expect(() => load({ LONGSHORE_CONTENT_S3_PREFIX: 'ü' })).toThrow('may hold letters');
});

it('keeps numbers within their bounds', () => {
  expect(load({ LONGSHORE_CONTENT_GC_MAX_SHARE: '0.5' }).gcMaxShare).toBe(0.5);
  expect(() => load({ LONGSHORE_CONTENT_GC_MAX_SHARE: '1.1' })).toThrow('must be at most 1');
  expect(() => load({ LONGSHORE_CONTENT_LOCATE_MS: '43200001' })).toThrow('must be at most 43200000');
});
