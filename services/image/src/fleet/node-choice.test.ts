import { describe, expect, it } from 'vitest';
import { chooseNodes, type FleetNode, platformOf } from './node-choice.ts';

const never = new AbortController().signal;

function node(id: string, state: FleetNode['state'] = 'ready', address = 'host:1'): FleetNode {
  return { id, state, address, architecture: 'x64' };
}

const NODES = [node('a'), node('b', 'unreachable'), node('c', 'gone'), node('d', 'ready', ''), node('e')];
const list = {
  matching: async (selector: string) =>
    NODES.filter(({ id, state }) => state === 'ready' && selector.includes(id)),
  named: async (ids: readonly string[]) => NODES.filter(({ id }) => ids.includes(id)),
};

describe('chooseNodes', () => {
  it('takes those that are named and those that match, each once', async () => {
    const chosen = await chooseNodes(list, ['a'], 'a e', never);
    expect(chosen.map(({ id, obstacle }) => [id, obstacle])).toEqual([
      ['a', undefined],
      ['e', undefined],
    ]);
  });

  it('says of each that is named why it cannot be reached', async () => {
    const chosen = await chooseNodes(list, ['b', 'c', 'd', 'x'], '', never);
    expect(chosen.map(({ obstacle }) => [obstacle?.kind, obstacle?.message])).toEqual([
      ['Unavailable', 'node "b" is unreachable: unavailable'],
      ['NotFound', 'node "c" was removed: not found'],
      ['Unavailable', 'node "d" has no address: unavailable'],
      ['NotFound', 'node "x": not found'],
    ]);
  });

  it('takes none when none is asked for', async () => {
    expect(await chooseNodes(list, [], '', never)).toEqual([]);
  });
});

it('platformOf reads the names that agents give', () => {
  expect(platformOf(node('a'))).toEqual({ os: 'linux', architecture: 'amd64' });
  expect(platformOf({ ...node('a'), architecture: 'arm64' })).toEqual({ os: 'linux', architecture: 'arm64' });
});
