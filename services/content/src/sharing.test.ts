import { randomUUID } from 'node:crypto';
import { digestOf } from '@longshore/oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Caller, ContentFixture, callOf } from './testing/content-fixture.ts';

/** Who holds a blob, who would link it, and whether the sharing policy lets them: `shared` and `isolated`. */
const CASES: [what: string, holder: Caller, asker: Caller, shared: boolean, isolated: boolean][] = [
  ['the namespace on another node', { node: 'n1' }, { node: 'n2' }, true, true],
  ['the namespace at the fleet edge', {}, { node: 'n2' }, true, true],
  ['the namespace on a node, for the fleet edge', { node: 'n1' }, {}, true, true],
  ['another namespace on the same node', { namespace: 'a', node: 'n1' }, { node: 'n1' }, true, false],
  ['another namespace on another node', { namespace: 'a', node: 'n1' }, { node: 'n2' }, false, false],
  ['another namespace at the fleet edge, for a node', { namespace: 'a' }, { node: 'n1' }, false, false],
  ['another namespace on a node, for the fleet edge', { namespace: 'a', node: 'n1' }, {}, false, false],
  ['another namespace, both at the fleet edge', { namespace: 'a' }, {}, false, false],
  ['a shareable namespace on the same node', { namespace: 'open', node: 'n1' }, { node: 'n1' }, true, true],
  ['a shareable namespace on another node', { namespace: 'open', node: 'n1' }, { node: 'n2' }, false, false],
];

describe.each(['shared', 'isolated'])('content that is %s', (sharing) => {
  let fixture: ContentFixture;

  beforeAll(async () => {
    fixture = await ContentFixture.start({ LONGSHORE_CONTENT_SHARING: sharing });
    const labels = { 'containerd.io/namespace.shareable': 'true' };
    await fixture.namespaces.create({ namespace: { name: 'open', labels } }, callOf({ node: 'n1' }));
  });

  afterAll(() => fixture.close());

  it.each(CASES)('of %s', async (_, holder, asker, shared, isolated) => {
    const expected = sharing === 'shared' ? shared : isolated;
    const text = randomUUID();
    const digest = await fixture.put(text, {}, holder);

    const acquired = await fixture.claims.acquire({ registry: 'r', digest, holder: 'h' }, callOf(asker));
    expect(acquired.result).toBe(expected ? 2 : 1);

    const session = fixture.write(asker);
    const { offset } = await session.send({ ref: text, total: BigInt(text.length), expected: digest });
    expect(offset).toBe(expected ? BigInt(text.length) : 0n);
    await session.end();

    const { blobs } = await fixture.blobs.link({ blobs: [{ digest }] }, callOf(asker));
    expect(blobs[0]?.linked).toBe(expected);
    if (expected) expect(await fixture.read(digest, asker)).toBe(text);
    else await expect(fixture.read(digest, asker)).rejects.toMatchObject({ kind: 'NotFound' });
  });

  it("gives nothing of another namespace to who came by the fleet's edge, on its own node neither", async () => {
    const text = randomUUID();
    const digest = await fixture.put(text, {}, { namespace: 'a', node: 'n1' });
    const asker = { node: 'n1', edge: 'user/eve' };
    const session = fixture.write(asker);
    const { offset } = await session.send({ ref: text, total: BigInt(text.length), expected: digest });
    expect(offset).toBe(0n);
    await session.end();
    const unknown = digestOf('nowhere');
    for (const ask of [
      (each: string) => fixture.read(each, asker),
      (each: string) => fixture.content.info({ digest: each }, callOf(asker)),
      (each: string) => fixture.content.delete({ digest: each }, callOf(asker)),
    ]) {
      const told = async (each: string) => {
        const error = await ask(each).then(
          () => new Error('no error'),
          (failed: Error) => failed,
        );
        return error.message.replace(each, 'D');
      };
      expect(await told(digest)).toBe(await told(unknown));
    }
  });

  it('links nothing that is not stored, or has another size', async () => {
    const digest = await fixture.put('sized');
    const { blobs } = await fixture.blobs.link(
      { blobs: [{ digest: digestOf('nowhere') }, { digest, size: 4n }] },
      callOf({ node: 'n2' }),
    );
    expect(blobs.map(({ linked }) => linked)).toEqual([false, false]);
  });
});
