import { expect, it } from 'vitest';
import { TaskFixture } from '../../services/agent/src/tasks/task-fixture.testing.ts';
import { expectWholeFile } from '../../services/agent/src/tasks/testing/expect-whole-file.ts';

it('a gigabyte that a process writes to a file is there to the last byte', async () => {
  const node = await TaskFixture.open();
  const before = process.memoryUsage().rss;
  await expectWholeFile(node, 1_000_000_000);
  expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
  await node.close();
});
