import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

const never = new AbortController().signal;

/** Whether a promise settles without anything else happening. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  await setImmediate();
  return settled;
}

describe('Turns', () => {
  it('lets in as many as it is for, and the others in order', async () => {
    const turns = new Turns(2);
    await turns.next(never);
    await turns.next(never);
    const third = turns.next(never);
    const fourth = turns.next(never);
    expect(await isSettled(third)).toBe(false);
    turns.done();
    expect(await isSettled(third)).toBe(true);
    expect(await isSettled(fourth)).toBe(false);
    turns.done();
    await fourth;
  });

  it('gives a turn that was handed over to nobody else', async () => {
    const turns = new Turns(1);
    await turns.next(never);
    const waiting = turns.next(never);
    turns.done();
    const late = turns.next(never);
    await waiting;
    expect(await isSettled(late)).toBe(false);
    turns.done();
    await late;
  });

  it('forgets who gave up', async () => {
    const turns = new Turns(1);
    await turns.next(never);
    const abort = new AbortController();
    const gone = turns.next(abort.signal);
    const staying = turns.next(never);
    abort.abort(new Error('gave up'));
    await expect(gone).rejects.toThrow('gave up');
    turns.done();
    await staying;
    await expect(turns.next(abort.signal)).rejects.toThrow('gave up');
  });
});
