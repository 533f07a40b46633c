import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isKind } from '@longshore/errors';
import { digestOf } from '@longshore/oci';
import { Content, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Channel, createClient } from '@longshore/rpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ContentFixture, callOf, WriteSession } from './testing/content-fixture.ts';
import { KILL_STEPS, type KillStep } from './testing/kill-at.ts';

const { COMMIT, STAT, WRITE } = WriteAction;
const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const KILL_AT = new URL('./testing/kill-at.ts', import.meta.url).href;

/** From here on the caller has been told that three bytes are durable, and from there on that there is nothing to send. */
const AFTER_STAT = KILL_STEPS.indexOf('before all bytes are durable');
const COMMITTED = KILL_STEPS.indexOf('when the commit is recorded');

/** The replica that goes on. */
let survivor: ContentFixture;

beforeAll(async () => {
  survivor = await ContentFixture.start();
});

afterAll(() => survivor.close());

/** Starts a replica that ends at a step, and writes until it does. */
async function writeUntilKilled(step: KillStep, ref: string, text: string): Promise<void> {
  const socket = join(survivor.directory, `${randomUUID()}.sock`);
  const env = {
    ...process.env,
    DATABASE_URL: survivor.databaseUrl,
    LONGSHORE_ROOT: survivor.directory,
    LONGSHORE_STATE: join(survivor.directory, randomUUID()),
    LONGSHORE_CONTENT_LISTEN: `unix://${socket}`,
  };
  const args = ['--import', `${KILL_AT}?${encodeURIComponent(step)}`, MAIN];
  const victim = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(victim, 'exit');
  await Promise.race([
    exited.then(() => Promise.reject(new Error('the replica has not started'))),
    new Promise<void>((resolve) => {
      victim.stdout?.on('data', (line) => String(line).includes('"ready"') && resolve());
    }),
  ]);
  const channel = new Channel(`unix://${socket}`);
  try {
    const session = new WriteSession(createClient(Content, channel), callOf());
    await expect(write(session, ref, text)).rejects.toThrow();
    expect(await exited).toEqual([null, 'SIGKILL']);
  } finally {
    channel.close();
  }
}

async function write(session: WriteSession, ref: string, text: string): Promise<void> {
  const expected = digestOf(text);
  await session.send({ ref, total: 9n, expected });
  await session.send({ action: WRITE, data: Buffer.from(text.slice(0, 3)) });
  expect(await session.send({ action: STAT })).toMatchObject({ offset: 3n });
  await session.send({ action: WRITE, offset: 3n, data: Buffer.from(text.slice(3, 6)) });
  await session.send({ action: COMMIT, offset: 6n, data: Buffer.from(text.slice(6)), total: 9n, expected });
  await session.end();
}

/** Goes on with what is there, as a client does. Answers where. */
async function resume(ref: string, text: string): Promise<number | 'committed'> {
  const expected = digestOf(text);
  const session = survivor.write();
  try {
    const opened = await session.send({ ref, total: 9n, expected });
    const offset = Number(opened.offset);
    expect(opened.digest).toBe(digestOf(text.slice(0, offset)));
    const data = Buffer.from(text.slice(offset));
    await session.send({ action: COMMIT, offset: opened.offset, data, total: 9n, expected });
    return offset;
  } catch (error) {
    if (isKind(error, 'AlreadyExists')) return 'committed';
    throw error;
  } finally {
    await session.end().catch(() => undefined);
  }
}

describe('a replica killed with SIGKILL', () => {
  it.each(KILL_STEPS)('%s: another one goes on', async (step) => {
    const ref = step.replaceAll(' ', '-');
    const text = `${KILL_STEPS.indexOf(step)}`.padEnd(9, 'bytes sent');
    await writeUntilKilled(step, ref, text);
    // As ten seconds later: until then the ref is the dead one's.
    await survivor.pool.query(
      `UPDATE ingests SET writer_until = clock_timestamp() - interval '1 ms' WHERE ref = $1`,
      [ref],
    );
    const at = KILL_STEPS.indexOf(step);
    const went = await resume(ref, text);
    if (at >= COMMITTED) expect(went).toBe('committed');
    else if (at < AFTER_STAT) expect([0, 3]).toContain(went);
    else expect(went).toBeGreaterThanOrEqual(3);

    const digest = digestOf(text);
    expect(await survivor.read(digest)).toBe(text);
    const generations = await readdir(
      join(survivor.directory, 'content/blobs/sha256', digest.slice(7, 9), digest.slice(7)),
    );
    const { rows } = await survivor.pool.query('SELECT generation FROM blobs WHERE digest = $1', [digest]);
    expect(rows.map(({ generation }) => generation)).toEqual(generations);
    const events = await survivor.pool.query('SELECT FROM outbox WHERE subject = $1', [digest]);
    expect(events.rowCount).toBe(1);
    const left = await survivor.pool.query('SELECT FROM ingests WHERE ref = $1', [ref]);
    expect(left.rowCount).toBe(0);
  });
});
