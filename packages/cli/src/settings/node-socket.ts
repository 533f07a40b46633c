import type { Environment } from '../host.ts';

/** The node socket of this machine, as the agent is told of it by the same variables. */
export function nodeSocketOf(env: Environment): string {
  const state = env.LONGSHORE_STATE || '/run/longshore';
  return `unix://${env.LONGSHORE_SOCKET || `${state}/longshore.sock`}`;
}
