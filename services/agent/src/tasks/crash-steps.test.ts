import { describe, it } from 'vitest';
import { expectSuccessorGoesOn } from './testing/crash-case.ts';
import type { KillStep } from './testing/kill-at.ts';

/** One of each sort; `test/long/task-crash-steps.test.ts` has all. */
const STEPS: KillStep[] = [
  'before the bundle is known',
  'when its shim is being started',
  'when the create is sent',
  'when the start is sent',
  'when the exec is sent',
  "before the exec's exit is reported",
  "when the exec's delete is answered",
  'when the wait is answered',
  'when the delete is answered',
  'before the bundle goes',
];

describe('an agent that is killed', () => {
  it.each(STEPS)('%s: its successor goes on, and says everything once', expectSuccessorGoesOn);
});
