import { describe, it } from 'vitest';
import { expectSuccessorGoesOn } from '../../services/agent/src/tasks/testing/crash-case.ts';
import { KILL_STEPS } from '../../services/agent/src/tasks/testing/kill-at.ts';

describe('an agent that is killed', () => {
  it.each(KILL_STEPS)('%s: its successor goes on, and says everything once', expectSuccessorGoesOn);
});
