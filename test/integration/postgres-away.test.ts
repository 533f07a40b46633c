import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Postgres, startPostgres } from '@longshore/local';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pushTestImages } from '../harness/images.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

let directory: string;
let postgres: Postgres;
let stack: Stack;
let busybox: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'longshore-test-away-'));
  postgres = await startPostgres(directory, { durable: false });
  stack = await startStack({ databaseUrl: postgres.url });
  busybox = (await pushTestImages(stack.registry)).busybox;
  await stack.ctr.ok(['image', 'pull', '--plain-http', busybox]);
  await stack.ctr.ok(['run', '-d', busybox, 'steady', 'sleep', '1000']);
});
afterAll(async () => {
  await stack?.close();
  await postgres?.close();
  await rm(directory, { recursive: true, force: true });
});

describe('while Postgres is away', () => {
  it('changes fail at once as unavailable, reads and tasks go on, and all heals when it is back', async () => {
    await postgres.close();
    const started = performance.now();
    const { code, stderr } = await stack.ctr.run(['namespaces', 'create', 'refused']);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/unavailable|database/i),
    });
    expect(performance.now() - started).toBeLessThan(5000);
    expect(await stack.ctr.ok(['task', 'ls'])).toMatch(/^steady\s+\d+\s+RUNNING/m);
    expect(await stack.ctr.ok(['image', 'ls', '-q'])).toContain(busybox);

    postgres = await startPostgres(directory, { durable: false });
    const healed = await waitUntil(
      async () => (await stack.ctr.run(['namespaces', 'create', 'healed'])).code === 0,
      30_000,
    );
    expect(healed).toBe(true);
    expect(await stack.ctr.ok(['run', '--rm', busybox, 'again', 'echo', 'back'])).toBe('back\n');
    expect(stack.reports).toEqual([]);
  });
});
