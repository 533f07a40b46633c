import type { Int64 } from '../int64.ts';
import type { RlimitSpec } from '../spec.ts';
import { changeProcess, type SpecOption } from './spec-option.ts';

/** No limit, as in setrlimit(2). */
export const RLIM_INFINITY = 2n ** 64n - 1n;

export function withProcessArgs(args: readonly string[]): SpecOption {
  return changeProcess((process) => ({ ...process, args: [...args] }));
}

export function withProcessCwd(cwd: string): SpecOption {
  return changeProcess((process) => ({ ...process, cwd }));
}

/** Gives the process a terminal, and a `TERM` when it has none. */
export const withTty: SpecOption = changeProcess(({ env = [], ...process }) => ({
  ...process,
  terminal: true,
  env: env.some((entry) => entry.startsWith('TERM=')) ? env : [...env, 'TERM=xterm'],
}));

/** In characters. */
export function withTtySize(width: number, height: number): SpecOption {
  return changeProcess((process) => ({ ...process, consoleSize: { height, width } }));
}

/** `type` as in getrlimit(2): `RLIMIT_NOFILE`. Takes the place of what was said of it. */
export function withRlimit(type: string, soft: Int64, hard: Int64 = soft): SpecOption {
  const limit: RlimitSpec = { type, hard, soft };
  return changeProcess(({ rlimits = [], ...process }) => ({
    ...process,
    rlimits: rlimits.some((each) => each.type === type)
      ? rlimits.map((each) => (each.type === type ? limit : each))
      : [...rlimits, limit],
  }));
}

/** Programs with set-user-ID bits or file capabilities gain nothing. Source: prctl(2), PR_SET_NO_NEW_PRIVS. */
export const withNoNewPrivileges: SpecOption = changeProcess((process) => ({
  ...process,
  noNewPrivileges: true,
}));

/** As `sudo` and the like need it. */
export const withNewPrivileges: SpecOption = changeProcess((process) => ({
  ...process,
  noNewPrivileges: false,
}));

/** -1000, never, to 1000, first, when memory runs out. Source: proc(5), oom_score_adj. */
export function withOomScoreAdj(oomScoreAdj: number): SpecOption {
  return changeProcess((process) => ({ ...process, oomScoreAdj }));
}
