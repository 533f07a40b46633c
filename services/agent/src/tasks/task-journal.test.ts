import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TaskJournal } from './task-journal.ts';

let directory: string;
let journal: TaskJournal;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'journal-'));
  journal = new TaskJournal(join(directory, 'tasks.db'));
});

afterEach(() => {
  journal.close();
  rmSync(directory, { recursive: true });
});

function begin(incarnation: string, execId = '') {
  const execIncarnation = execId && `${incarnation}-${execId}`;
  return journal.begin({ namespace: 'default', containerId: 'web', execId, incarnation, execIncarnation });
}

describe('TaskJournal', () => {
  it('knows its processes after it was closed and opened again', () => {
    const record = begin('first');
    journal.update(record, { pid: 5, created: true, started: true });
    journal.close();
    journal = new TaskJournal(join(directory, 'tasks.db'));
    expect(journal.reread(record)).toEqual({ ...record, pid: 5, created: true, started: true });
    expect(journal.liveTasks()).toHaveLength(1);
  });

  it('writes a change without undoing what another record of the process has changed', () => {
    const [one, other] = [begin('first'), journal.ofTask('first')[0]!];
    journal.update(one, { created: true, pid: 5 });
    journal.update(other, { startRequested: true });
    expect(journal.reread(other)).toMatchObject({ created: true, pid: 5, startRequested: true });
  });

  it('finds by pid among the lives of one id, else the newest whose pid is not known', () => {
    journal.update(begin('first'), { pid: 5, ended: true });
    begin('second');
    expect(journal.find('default', 'web', '', 5)?.incarnation).toBe('first');
    expect(journal.find('default', 'web', '', 6)?.incarnation).toBe('second');
    expect(journal.find('default', 'web', '')?.incarnation).toBe('second');
    journal.end('second');
    expect(journal.find('default', 'web', '')?.incarnation).toBe('second');
    expect(journal.find('default', 'web', '', 6)).toBeUndefined();
    expect(journal.find('default', 'web', 'shell')).toBeUndefined();
    expect(journal.find('other', 'web', '')).toBeUndefined();
  });

  it('ends a task with its execs, and forgets them after a while', () => {
    begin('first');
    begin('first', 'shell');
    begin('second');
    journal.end('first');
    expect(journal.ofTask('first').map(({ ended }) => ended)).toEqual([true, true]);
    journal.prune(60_000);
    expect(journal.ofTask('first')).toHaveLength(2);
    journal.prune(-1);
    expect(journal.ofTask('first')).toEqual([]);
    expect(journal.liveTasks().map(({ incarnation }) => incarnation)).toEqual(['second']);
  });
});
