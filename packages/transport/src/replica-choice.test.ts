import { describe, expect, it } from 'vitest';
import { ReplicaChoice } from './replica-choice.ts';

const NAMES = ['a', 'b', 'c'];

function choice(options = {}) {
  return new ReplicaChoice(NAMES, { first: 0, ...options });
}

describe('ReplicaChoice', () => {
  it('takes turns', () => {
    const replicas = choice();
    expect([replicas.order()[0], replicas.order()[0], replicas.order()[0], replicas.order()[0]]).toEqual([
      0, 1, 2, 0,
    ]);
    expect(replicas.order()).toEqual([1, 2, 0]);
  });

  it('asks one that failed last, for longer each time, until it answers', () => {
    let now = 0;
    const replicas = choice({ now: () => now });
    replicas.failed(0);
    for (let n = 0; n < 3; n++) expect(replicas.order().at(-1)).toBe(0);
    now = 200;
    expect(replicas.isWell(0)).toBe(true);
    replicas.failed(0);
    now = 400;
    expect(replicas.isWell(0)).toBe(false);
    now = 600;
    expect(replicas.isWell(0)).toBe(true);
    for (let n = 0; n < 30; n++) replicas.failed(0);
    now += 5_000;
    expect(replicas.isWell(0)).toBe(true);
    replicas.failed(0);
    replicas.answered(0);
    expect(replicas.isWell(0)).toBe(true);
  });

  it('gives a key the same one, whatever the order of the list; only keys of one that rests move', () => {
    const replicas = choice({ now: () => 0 });
    const turned = new ReplicaChoice(['c', 'a', 'b']);
    const keys = Array.from({ length: 60 }, (_, n) => `key ${n}`);
    const homes = new Map(keys.map((key) => [key, NAMES[replicas.order(key)[0]!]]));
    expect(new Set(homes.values()).size).toBe(3);
    for (const key of keys) expect(['c', 'a', 'b'][turned.order(key)[0]!]).toBe(homes.get(key));
    replicas.failed(0);
    for (const key of keys) {
      const now = NAMES[replicas.order(key)[0]!];
      if (homes.get(key) === 'a') expect(now).not.toBe('a');
      else expect(now).toBe(homes.get(key));
    }
  });
});
