import type { Client, Container } from '@longshore/client';
import { failedPrecondition, isKind } from '@longshore/errors';
import { findContainer } from './find-container.ts';

/** The container that a person means, at its node. Throws FailedPrecondition for one that does not run. */
export async function runningContainer(client: Client, typed: string): Promise<Container> {
  const { record, client: scoped } = await findContainer(client, typed);
  const container = await scoped.container(record.id);
  const state = await stateOf(container);
  if (state === 'running') return container;
  const what = state === undefined || state === 'stopped' ? 'does not run' : `is ${state}`;
  const hint =
    state === 'paused'
      ? `"longshore unpause ${record.id}" lets it go on.`
      : `"longshore start ${record.id}" runs it.`;
  throw Object.assign(failedPrecondition(`container "${record.id}": it ${what}`), { hint });
}

async function stateOf(container: Container): Promise<string | undefined> {
  try {
    return (await (await container.task()).status()).state;
  } catch (error) {
    if (isKind(error, 'NotFound')) return undefined;
    throw error;
  }
}
