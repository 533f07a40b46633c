import { loadConfig } from '@longshore/kit';
import { expect, it } from 'vitest';
import { keys } from './config.ts';

it('takes no heartbeats that would keep the control plane busy', () => {
  expect(() => loadConfig(keys, { LONGSHORE_HEARTBEAT_MS: '99' }, undefined)).toThrow(
    /LONGSHORE_HEARTBEAT_MS/,
  );
  expect(loadConfig(keys, { LONGSHORE_HEARTBEAT_MS: '100' }, undefined).heartbeatMs).toBe(100);
});
