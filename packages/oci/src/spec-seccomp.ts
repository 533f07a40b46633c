import type { Int64 } from './int64.ts';

/** Which system calls a container may make. Source: OCI runtime-spec 1.2 config-linux.md, Seccomp. */
export interface SeccompSpec {
  /** For calls that no rule names. */
  defaultAction: SeccompAction;
  defaultErrnoRet?: number;
  /** libseccomp's names: `SCMP_ARCH_X86_64`. */
  architectures?: string[];
  flags?: (
    | 'SECCOMP_FILTER_FLAG_LOG'
    | 'SECCOMP_FILTER_FLAG_SPEC_ALLOW'
    | 'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'
    | 'SECCOMP_FILTER_FLAG_TSYNC'
  )[];
  listenerPath?: string;
  listenerMetadata?: string;
  syscalls?: SeccompRule[];
}

export interface SeccompRule {
  /** Calls that the runtime's libseccomp does not know are passed over. */
  names: string[];
  action: SeccompAction;
  /** Of `SCMP_ACT_ERRNO` and `SCMP_ACT_TRACE`; EPERM without it. */
  errnoRet?: number;
  /** All must hold; no two of one index, which runtimes take for alternatives. */
  args?: SeccompArgument[];
}

export interface SeccompArgument {
  /** 0 to 5. */
  index: number;
  /** With `SCMP_CMP_MASKED_EQ`: the mask. */
  value: Int64;
  /** With `SCMP_CMP_MASKED_EQ`: what remains under the mask; 0 without it. */
  valueTwo?: Int64;
  op: SeccompOperator;
}

export type SeccompAction =
  | 'SCMP_ACT_KILL'
  | 'SCMP_ACT_KILL_PROCESS'
  | 'SCMP_ACT_KILL_THREAD'
  | 'SCMP_ACT_TRAP'
  | 'SCMP_ACT_ERRNO'
  | 'SCMP_ACT_TRACE'
  | 'SCMP_ACT_ALLOW'
  | 'SCMP_ACT_LOG'
  | 'SCMP_ACT_NOTIFY';

export type SeccompOperator =
  | 'SCMP_CMP_NE'
  | 'SCMP_CMP_LT'
  | 'SCMP_CMP_LE'
  | 'SCMP_CMP_EQ'
  | 'SCMP_CMP_GE'
  | 'SCMP_CMP_GT'
  | 'SCMP_CMP_MASKED_EQ';
