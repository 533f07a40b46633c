import type { WholeAnswer as Answer } from '@longshore/kit';
import { describe, expect, it } from 'vitest';
import { AnswerCache, type Question } from './answer-cache.ts';

const question: Question = { path: '/a.B/Get', namespace: 'default', body: Buffer.from('x') };
const answerOf = (text: string): Answer => ({
  headers: {},
  body: Buffer.from(text),
  trailers: { 'grpc-status': '0' },
});

function opened(): AnswerCache {
  const cache = new AnswerCache();
  cache.open();
  return cache;
}

describe('AnswerCache', () => {
  it('gives the answer to the same question, in the same namespace', () => {
    const cache = opened();
    cache.expect(question).keep(answerOf('one'));
    expect(cache.find(question)).toEqual(answerOf('one'));
    expect(cache.find({ ...question, namespace: 'other' })).toBeUndefined();
    expect(cache.find({ ...question, body: Buffer.from('y') })).toBeUndefined();
    expect(cache.find({ ...question, path: '/a.B/Info' })).toBeUndefined();
  });

  it('forgets a namespace that has changed, and no other', () => {
    const cache = opened();
    cache.expect(question).keep(answerOf('one'));
    cache.expect({ ...question, namespace: 'other' }).keep(answerOf('two'));
    cache.forget('default');
    expect(cache.find(question)).toBeUndefined();
    expect(cache.find({ ...question, namespace: 'other' })).toBeDefined();
  });

  it('does not keep an answer from before a change', () => {
    const cache = opened();
    const expectation = cache.expect(question);
    cache.forget('default');
    expectation.keep(answerOf('stale'));
    expect(cache.find(question)).toBeUndefined();
  });

  it('keeps nothing while changes are not heard of', () => {
    const cache = new AnswerCache();
    cache.expect(question).keep(answerOf('one'));
    expect(cache.find(question)).toBeUndefined();
    cache.open();
    const expectation = cache.expect(question);
    cache.expect(question).keep(answerOf('two'));
    cache.close();
    expect(cache.find(question)).toBeUndefined();
    cache.open();
    expectation.keep(answerOf('three'));
    expect(cache.find(question)).toBeUndefined();
  });

  it('does not keep an answer that was asked for before changes were heard of', () => {
    const cache = new AnswerCache();
    const expectation = cache.expect(question);
    cache.open();
    expectation.keep(answerOf('older than the first change heard of'));
    expect(cache.find(question)).toBeUndefined();
  });

  it('counts what an entry takes beside its bytes', () => {
    const cache = opened();
    for (let n = 0; n < 10_000; n++) {
      cache.expect({ ...question, body: Buffer.from(`${n}`) }).keep(answerOf(''));
    }
    const kept = Array.from({ length: 10_000 }, (_, n) =>
      cache.find({ ...question, body: Buffer.from(`${n}`) }),
    );
    expect(kept.filter(Boolean).length).toBeLessThan(5_000);
  });

  it('stays within its size', () => {
    const cache = opened();
    cache.expect(question).keep(answerOf('x'.repeat(64 * 1024 + 1)));
    expect(cache.find(question)).toBeUndefined();
    for (let n = 0; n < 200; n++) {
      cache.expect({ ...question, body: Buffer.from(`${n}`) }).keep(answerOf('x'.repeat(64 * 1024)));
    }
    const kept = Array.from({ length: 200 }, (_, n) =>
      cache.find({ ...question, body: Buffer.from(`${n}`) }),
    );
    expect(kept.filter(Boolean).length).toBeLessThanOrEqual(128);
    expect(kept[199]).toBeDefined();
  });
});
