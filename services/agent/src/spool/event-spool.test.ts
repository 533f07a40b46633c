import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventSpool } from './event-spool.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spool-'));
  path = join(directory, 'spool.db');
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function event(id: string, topic = '/tasks/exit') {
  return { id, envelope: create(EnvelopeSchema, { namespace: 'default', topic }) };
}

describe('EventSpool', () => {
  it('keeps the first event recorded with an id', () => {
    using spool = new EventSpool(path);
    const first = spool.record(event('a', '/tasks/exit'));
    expect(first.fresh).toBe(true);
    expect(spool.record(event('b')).fresh).toBe(true);
    expect(spool.record(event('a', '/tasks/delete'))).toEqual({ sequence: first.sequence, fresh: false });
    expect(spool.unsent(10).map(({ id, envelope }) => [id, envelope.topic])).toEqual([
      ['a', '/tasks/exit'],
      ['b', '/tasks/exit'],
    ]);
  });

  it('hands out what is unsent, oldest first', () => {
    using spool = new EventSpool(path);
    for (const id of ['a', 'b', 'c']) spool.record(event(id));
    const [a, b] = spool.unsent(2);
    expect([a?.id, b?.id]).toEqual(['a', 'b']);
    spool.markSent(b!.sequence);
    expect(spool.unsent(10).map(({ id }) => id)).toEqual(['c']);
  });

  it('is the same after it was closed and opened again, and never reuses a sequence', () => {
    const before = new EventSpool(path);
    const { sequence } = before.record(event('a'));
    before.markSent(sequence);
    before.prune(-1);
    before.close();
    using after = new EventSpool(path);
    expect(after.record(event('b')).sequence).toBeGreaterThan(sequence);
  });

  it('forgets what was sent long enough ago, and nothing else', () => {
    using spool = new EventSpool(path);
    spool.markSent(spool.record(event('sent')).sequence);
    spool.record(event('unsent'));
    expect(spool.prune(60_000)).toBe(0);
    expect(spool.prune(-1)).toBe(1);
    expect(spool.record(event('unsent')).fresh).toBe(false);
    expect(spool.record(event('sent')).fresh).toBe(true);
  });

  it('tells its listeners of fresh events only', () => {
    using spool = new EventSpool(path);
    let calls = 0;
    const forget = spool.onFresh(() => calls++);
    spool.record(event('a'));
    spool.record(event('a'));
    forget();
    spool.record(event('b'));
    expect(calls).toBe(1);
  });

  it('has every recorded event after its process was killed', () => {
    const module = JSON.stringify(join(import.meta.dirname, 'event-spool.ts'));
    const proto = JSON.stringify(import.meta.resolve('@longshore/proto/containerd/types/event'));
    const protobuf = JSON.stringify(import.meta.resolve('@bufbuild/protobuf'));
    const script = `
      const { EventSpool } = await import(${module});
      const { EnvelopeSchema } = await import(${proto});
      const { create } = await import(${protobuf});
      const spool = new EventSpool(${JSON.stringify(path)});
      for (let i = 0; i < 100; i++) spool.record({ id: String(i), envelope: create(EnvelopeSchema, {}) });
      process.kill(process.pid, 'SIGKILL');
    `;
    const ended = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
    expect(ended.signal, ended.stderr.toString()).toBe('SIGKILL');
    using spool = new EventSpool(path);
    expect(spool.unsent(1_000)).toHaveLength(100);
  });
});
