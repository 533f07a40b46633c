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

it("reads stream processors as containerd's configuration has them", () => {
  const table = { accepts: ['a/b+encrypted'], returns: 'a/b', path: 'decoder', args: ['-k'] };
  const read = (text: string) => loadConfig(keys, { LONGSHORE_STREAM_PROCESSORS: text }).streamProcessors;
  const expected = { x: { ...table, env: [] } };
  expect(read(JSON.stringify({ x: table }))).toEqual(expected);
  expect(loadConfig(keys, {}, { streamProcessors: { x: table } }).streamProcessors).toEqual(expected);
  expect(loadConfig(keys, {}).streamProcessors).toEqual({});
  for (const wrong of ['{', '[]', '1', '{"x":{}}', JSON.stringify({ x: { ...table, env: ['K'] } })]) {
    expect(() => read(wrong), wrong).toThrow(/LONGSHORE_STREAM_PROCESSORS/);
  }
});

it("reads what other snapshotters there are, from one line or as containerd's proxy_plugins", () => {
  const line = loadConfig(keys, { LONGSHORE_PROXY_SNAPSHOTTERS: 'a=/run/a.sock,b=unix:///b' }, undefined);
  expect(line.proxySnapshotters).toMatchObject([
    { name: 'a', address: 'unix:///run/a.sock' },
    { name: 'b', address: 'unix:///b' },
  ]);
  const table = { stargz: { type: 'snapshot', address: '/s', capabilities: ['x'], exports: { y: 'z' } } };
  expect(loadConfig(keys, {}, { proxySnapshotters: table }).proxySnapshotters).toEqual([
    { name: 'stargz', address: 'unix:///s', capabilities: ['x'], exports: { y: 'z' } },
  ]);
  expect(loadConfig(keys, {}, undefined).proxySnapshotters).toEqual([]);
  for (const wrong of ['native=/run/a.sock', 'a', 'a=relative', '../up=/run/a.sock']) {
    expect(() => loadConfig(keys, { LONGSHORE_PROXY_SNAPSHOTTERS: wrong }, undefined)).toThrow(
      /LONGSHORE_PROXY_SNAPSHOTTERS/,
    );
  }
});
