import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
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
    spool.markSent([a!, b!].map(({ sequence }) => ({ sequence, streamSequence: 7n })));
    expect(spool.unsent(10).map(({ id }) => id)).toEqual(['c']);
  });

  it('is the same after it was closed and opened again, and never reuses a sequence', () => {
    const before = new EventSpool(path);
    const { sequence } = before.record(event('a'));
    before.markSent([{ sequence, streamSequence: 1n }]);
    before.prune(-1);
    before.close();
    using after = new EventSpool(path);
    expect(after.record(event('b')).sequence).toBeGreaterThan(sequence);
  });

  it('forgets what was sent long enough ago, and nothing else', () => {
    using spool = new EventSpool(path);
    spool.markSent([{ sequence: spool.record(event('sent')).sequence, streamSequence: 1n }]);
    spool.record(event('unsent'));
    expect(spool.prune(60_000)).toBe(0);
    expect(spool.prune(-1)).toBe(1);
    expect(spool.record(event('unsent')).fresh).toBe(false);
    expect(spool.record(event('sent')).fresh).toBe(true);
  });

  it('has unsent again what the stream lost, from a place on', () => {
    using spool = new EventSpool(path);
    const places = new Map(['a', 'b', 'c'].map((id, index) => [id, BigInt(10 + index)]));
    for (const [id, streamSequence] of places)
      spool.markSent([{ sequence: spool.record(event(id)).sequence, streamSequence }]);
    expect(spool.newestSent()).toEqual({ id: 'c', streamSequence: 12n });
    expect(spool.unmarkFrom(11n)).toBe(2);
    expect(spool.unsent(10).map(({ id }) => id)).toEqual(['b', 'c']);
    expect(spool.newestSent()).toEqual({ id: 'a', streamSequence: 10n });
  });

  it('opens a spool of the version before', () => {
    const older = new DatabaseSync(path);
    older.exec(
      'CREATE TABLE event (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, ' +
        'envelope BLOB NOT NULL, recorded_ms INTEGER NOT NULL, sent_ms INTEGER)',
    );
    older.exec("INSERT INTO event (id, envelope, recorded_ms) VALUES ('old', x'', 0)");
    older.close();
    using spool = new EventSpool(path);
    expect(spool.unsent(10).map(({ id }) => id)).toEqual(['old']);
  });

  it('keeps what follows when marking has failed', () => {
    using spool = new EventSpool(path);
    spool.record(event('a'));
    const [{ sequence } = { sequence: 0 }] = spool.unsent(1);
    expect(() => spool.markSent([{ sequence, streamSequence: 2n ** 70n }])).toThrow();
    spool.record(event('b'));
    using other = new EventSpool(path);
    expect(other.unsent(10).map(({ id }) => id)).toEqual(['a', 'b']);
    spool.markSent([{ sequence, streamSequence: 1n }]);
    expect(spool.unsent(10).map(({ id }) => id)).toEqual(['b']);
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
