import { join } from 'node:path';
import { createLogger } from '@longshore/kit';
import { describe, expect, it } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { Desired } from './desired.ts';
import { DesiredStore } from './desired-store.ts';

const log = createLogger('test', 'silent');

describe('Desired', () => {
  it('refuses what is new after a restart too, until the control plane says otherwise', async () => {
    const path = join(await scratchDirectory(), 'desired.db');
    const restarted = (owner = 'n1 fleet') => {
      const store = new DesiredStore(path, owner);
      return { store, desired: new Desired('n1', store, log) };
    };
    {
      using store = new DesiredStore(path, 'n1 fleet');
      const desired = new Desired('n1', store, log);
      desired.requireOpen();
      desired.take({ cordoned: true, draining: true });
    }
    {
      const { store, desired } = restarted();
      expect(() => desired.requireOpen()).toThrow('node "n1" is cordoned');
      // Tasks are ended on fresh word only: the drain may have been called off.
      expect(desired.drainGraceMs).toBeUndefined();
      store[Symbol.dispose]();
    }
    {
      const { store, desired } = restarted('n1 other-fleet');
      desired.requireOpen();
      store[Symbol.dispose]();
    }
    {
      const { store, desired } = restarted();
      desired.take({ cordoned: false, draining: false });
      desired.requireOpen();
      store[Symbol.dispose]();
    }
    const { store, desired } = restarted();
    desired.requireOpen();
    store[Symbol.dispose]();
  });

  it('is cordoned also when its disk takes nothing', async () => {
    const store = new DesiredStore(join(await scratchDirectory(), 'desired.db'), 'n1');
    const desired = new Desired('n1', store, log);
    store[Symbol.dispose]();
    desired.take({ cordoned: true, draining: false });
    expect(() => desired.requireOpen()).toThrow('is cordoned');
  });
});
