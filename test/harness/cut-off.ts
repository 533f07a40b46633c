import { expect } from 'vitest';
import type { Fleet } from './fleet.ts';
import { identityOf, UNTIL_TERM } from './running-task.ts';
import type { EventStream } from './stream-reader.ts';
import type { TestNode } from './test-node.ts';
import { waitUntil } from './wait-until.ts';

/** How long a lost peer may go unnoticed: what was sent, or a ping, is waited for, and a new connection is tried. */
const NOTICED_MS = 9_000;
/** Less than any wait for an answer. */
const AT_ONCE_MS = 2_000;
const HEALED_MS = 30_000;

/** All of a container's task events, in order: what is in a gap is `exec-added` to the container's own exit. */
const GAP = ['create', 'start', 'exec-added', 'exec-started', 'exit', 'exit', 'delete'].map(
  (name) => `/tasks/${name}`,
);

/** A node that is about to lose its control plane, with two containers: one that is left alone, one that ends meanwhile. */
export class CutOff {
  readonly #fleet: Fleet;
  readonly #node: TestNode;
  readonly #image: string;
  readonly #untouched: string;
  readonly #ended: string;
  #identity = '';

  /** `name` makes its containers' names, which must be new. */
  constructor(fleet: Fleet, node: TestNode, image: string, name: string) {
    this.#fleet = fleet;
    this.#node = node;
    this.#image = image;
    this.#untouched = `untouched-${node.id}-${name}`;
    this.#ended = `ended-${node.id}-${name}`;
  }

  get untouched(): string {
    return this.#untouched;
  }

  async prepare(): Promise<void> {
    const { ctr } = this.#node;
    for (const id of [this.#untouched, this.#ended]) {
      await ctr.ok(['run', '-d', this.#image, id, ...UNTIL_TERM]);
    }
    this.#identity = await identityOf(ctr, this.#untouched);
  }

  /** Changes are refused: the first as soon as the loss is noticed, then at once. Answers how long they took, in ms. */
  async expectWritesRefused(): Promise<{ firstMs: number; nextMs: number[] }> {
    const { ctr } = this.#node;
    const refused = async (args: string[]) => {
      const startMs = performance.now();
      const { code, stderr } = await ctr.run(args);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/service "\w+".*unavailable/is);
      return Math.round(performance.now() - startMs);
    };
    const firstMs = await refused(['image', 'tag', this.#image, 'example.test/refused:1']);
    // Its lost connections are noticed each for itself.
    const create = ['container', 'create', this.#image, 'refused'];
    const nextMs: number[] = [];
    expect(await refused(create)).toBeLessThan(NOTICED_MS);
    for (const args of [create, ['image', 'tag', this.#image, 'example.test/refused:2']]) {
      nextMs.push(await refused(args));
    }
    expect(firstMs).toBeLessThan(NOTICED_MS);
    expect(Math.max(...nextMs)).toBeLessThan(AT_ONCE_MS);
    return { firstMs, nextMs };
  }

  /** Reads, exec and kill go on over the node's own socket. */
  async expectWorksAlone(): Promise<void> {
    const { ctr } = this.#node;
    const ids = (await ctr.ok(['container', 'ls', '-q'])).split('\n');
    expect(ids).toEqual(expect.arrayContaining([this.#untouched, this.#ended]));
    expect(ids).not.toContain('refused');
    expect(JSON.parse(await ctr.ok(['container', 'info', this.#untouched])).ID).toBe(this.#untouched);
    const [, , digest = ''] =
      (await ctr.ok(['image', 'ls']))
        .split('\n')
        .find((line) => line.startsWith(this.#image))
        ?.split(/\s+/) ?? [];
    expect(JSON.parse(await ctr.ok(['content', 'get', digest]))).toHaveProperty('layers');
    expect(await identityOf(ctr, this.#untouched)).toBe(this.#identity);
    const inside = ['sh', '-c', 'echo inside; exit 9'];
    const exec = await ctr.run(['task', 'exec', '--exec-id', 'e', this.#ended, ...inside]);
    expect(exec).toMatchObject({ code: 9, stdout: 'inside\n' });
    await ctr.ok(['task', 'kill', '-s', 'TERM', this.#ended]);
    const hasEnded = async () =>
      new RegExp(`^${this.#ended}\\s+\\d+\\s+STOPPED`, 'm').test(await ctr.ok(['task', 'ls']));
    expect(await waitUntil(hasEnded)).toBe(true);
  }

  /** Once nothing is in the way any more, all is well by itself. Answers after how many ms the node was ready and could write. */
  async expectHealed(): Promise<{ readyMs: number; writesMs: number }> {
    const startMs = performance.now();
    const { id, ctr } = this.#node;
    const since = () => Math.round(performance.now() - startMs);
    let writesMs = 0;
    const canWrite = async () => {
      const label = ['container', 'label', this.#untouched, `healed=${Date.now()}`];
      if ((await ctr.run(label)).code !== 0) return false;
      writesMs = since();
      return true;
    };
    const isReady = async () => (await nodeStates(this.#fleet))[id] === 'ready';
    const becameReady = waitUntil(isReady, HEALED_MS).then((became) => [became, since()] as const);
    expect(await waitUntil(canWrite, HEALED_MS)).toBe(true);
    const [became, readyMs] = await becameReady;
    expect(became).toBe(true);
    expect(await identityOf(ctr, this.#untouched)).toBe(this.#identity);
    return { readyMs, writesMs };
  }

  /** Removes the containers; each event of them has come once, in order. */
  async expectEvents(events: EventStream): Promise<void> {
    const { ctr } = this.#node;
    expect((await ctr.run(['task', 'rm', this.#ended])).stderr).toContain('exit code 5');
    await ctr.ok(['container', 'rm', this.#ended]);
    await ctr.ok(['task', 'rm', '-f', this.#untouched]);
    await ctr.ok(['container', 'rm', this.#untouched]);
    const isOver = () =>
      [this.#ended, this.#untouched].every((id) => {
        const topics = events.topicsOf(id);
        return topics.includes('/tasks/delete') && topics.includes('/containers/delete');
      });
    expect(await waitUntil(isOver, HEALED_MS)).toBe(true);
    const about = (id: string, what: string) => events.topicsOf(id).filter((topic) => topic.startsWith(what));
    expect(about(this.#ended, '/tasks/')).toEqual(GAP);
    expect(about(this.#untouched, '/tasks/')).toEqual(
      GAP.filter((topic) => !/exec/.test(topic)).toSpliced(2, 1),
    );
    expect(about(this.#ended, '/containers/')).toEqual(['/containers/create', '/containers/delete']);
    expect(new Set(events.seen.map(({ messageId }) => messageId)).size).toBe(events.seen.length);
  }
}

/** As the registry of nodes has them now, by id. */
export async function nodeStates(fleet: Fleet): Promise<Record<string, string>> {
  const response = await fleet.http('/v1/nodes').catch(() => undefined);
  if (!response?.ok) return {};
  const { items } = (await response.json()) as { items: { id: string; state: string }[] };
  return Object.fromEntries(items.map(({ id, state }) => [id, state]));
}
