import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pushTestImages, type TestImages } from '../harness/images.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

let stack: Stack;
let images: TestImages;

beforeAll(async () => {
  stack = await startStack();
  images = await pushTestImages(stack.registry);
  await stack.ctr.ok(['image', 'pull', '--plain-http', images.busybox]);
});
afterAll(() => stack?.close());

const configDigest = async () => {
  const digests = (await stack.ctr.ok(['content', 'ls', '-q'])).trim().split('\n');
  return digests[0]!;
};

describe('what the node remembers', () => {
  it("follows its own callers' changes at once", async () => {
    await stack.ctr.ok(['container', 'create', images.busybox, 'remembered', 'true']);
    for (const value of ['1', '2', '3']) {
      await stack.ctr.ok(['container', 'label', 'remembered', `n=${value}`]);
      expect(JSON.parse(await stack.ctr.ok(['container', 'info', 'remembered'])).Labels.n).toBe(value);
    }
    await stack.ctr.ok(['container', 'rm', 'remembered']);
    expect((await stack.ctr.run(['container', 'info', 'remembered'])).stderr).toContain('not found');
  });

  it('is gone with what a collection removed that the caller waited for', async () => {
    const options = { namespace: 'collected' };
    for (let n = 0; n < 3; n++) {
      await stack.ctr.ok(['image', 'pull', '--plain-http', images.layered], options);
      const digests = (await stack.ctr.ok(['content', 'ls', '-q'], options)).trim().split('\n');
      for (const digest of digests) await stack.ctr.ok(['content', 'get', digest], options);
      await stack.ctr.ok(['image', 'rm', '--sync', images.layered], options);
      const found = await Promise.all(
        digests.map((digest) => stack.ctr.run(['content', 'get', digest], options)),
      );
      expect(found.map(({ code }) => code)).toEqual(digests.map(() => 1));
    }
  });

  it('follows a change that somebody else made, and is not used while nobody tells of changes', async () => {
    const digest = await configDigest();
    await stack.ctr.ok(['content', 'get', digest]);
    await stack.services.stop('content');
    const { stderr } = await stack.ctr.run(['content', 'get', digest]);
    expect(stderr).toMatch(/unavailable/i);
    await stack.services.start('content');
    expect(await waitUntil(async () => (await stack.ctr.run(['content', 'get', digest])).code === 0)).toBe(
      true,
    );

    await stack.ctr.ok(['container', 'create', images.busybox, 'elsewhere', 'true']);
    await stack.ctr.ok(['container', 'info', 'elsewhere']);
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: stack.databaseUrl });
    await client.connect();
    await client.query(`DELETE FROM runtime.containers WHERE id = 'elsewhere'`);
    await client.end();
    const gone = async () =>
      (await stack.ctr.run(['container', 'info', 'elsewhere'])).stderr.includes('not found');
    expect(await waitUntil(gone)).toBe(true);
  });
});
