import { loadConfig } from '@longshore/kit';
import { expect, it } from 'vitest';
import { keys } from './config.ts';

it('takes no heartbeats that would keep the control plane busy', () => {
  expect(() => loadConfig(keys, { LONGSHORE_HEARTBEAT_MS: '99' }, undefined)).toThrow(
    /LONGSHORE_HEARTBEAT_MS/,
  );
  expect(loadConfig(keys, { LONGSHORE_HEARTBEAT_MS: '100' }, undefined).heartbeatMs).toBe(100);
});

it('reads what shims get in their environment, and puts runtimes below the root', () => {
  const config = loadConfig(
    keys,
    { LONGSHORE_SHIM_ENV: 'SCHED_CORE=1,A=b=c', LONGSHORE_ROOT: '/data' },
    undefined,
  );
  expect(config).toMatchObject({ shimEnv: { SCHED_CORE: '1', A: 'b=c' }, optDir: '/data/opt' });
  expect(() => loadConfig(keys, { LONGSHORE_SHIM_ENV: 'SCHED_CORE' }, undefined)).toThrow(
    /LONGSHORE_SHIM_ENV/,
  );
});
