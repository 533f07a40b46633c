import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { startProcess } from '../process-operations.ts';
import { CALL, SOON, type TaskFixture } from '../task-fixture.testing.ts';

/** For a gigabyte on a disk that is slow, or busy. */
const WRITE_TIMEOUT_MS = 120_000;

/** Has a process write so many bytes to a `file://`, and nothing of them get lost. */
export async function expectWholeFile(node: TaskFixture, bytes: number): Promise<void> {
  const uri = `file://${join(node.directory, 'out', 'web.log')}`;
  // Shim 1.6 closes the file with the first stream that ends, so the process lives on.
  const words = `head -c ${bytes} /dev/zero; sleep 1000`;
  const task = await node.create('web', ['sh', '-c', words], {}, { stdout: uri, stderr: uri });
  await startProcess(node.manager.context, task, '', CALL);
  await expect.poll(() => sizeOf(new URL(uri)), { ...SOON, timeout: WRITE_TIMEOUT_MS }).toBe(bytes);
  await task.call('kill', { signal: 9, all: true });
  await task.call('wait', {});
  await node.manager.delete(CALL, 'web');
  expect(sizeOf(new URL(uri))).toBe(bytes);
  expect(node.leftovers()).toEqual([]);
}

const sizeOf = (path: URL) => statSync(path, { throwIfNoEntry: false })?.size;
