import type { SeccompArgument, SeccompOperator, SeccompRule, SeccompSpec } from '../spec-seccomp.ts';
import { ALLOWED_CALLS, CALLS_BY_ARCHITECTURE, CALLS_BY_CAPABILITY } from './seccomp-calls.ts';

/** libseccomp's names of what a kernel of an architecture runs, older and smaller ones too; the native one alone without. */
const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  amd64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_ARM', 'SCMP_ARCH_AARCH64'],
  mips64: ['SCMP_ARCH_MIPS', 'SCMP_ARCH_MIPS64', 'SCMP_ARCH_MIPS64N32'],
  mips64le: ['SCMP_ARCH_MIPSEL', 'SCMP_ARCH_MIPSEL64', 'SCMP_ARCH_MIPSEL64N32'],
  s390x: ['SCMP_ARCH_S390', 'SCMP_ARCH_S390X'],
  riscv64: ['SCMP_ARCH_RISCV64'],
  loong64: ['SCMP_ARCH_LOONGARCH64'],
};

/** Plain Linux, 32-bit Linux, either as uname(2) of 2.6, and the question which it is. Source: linux/personality.h. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** Source: linux/socket.h. */
const AF_ALG = 38;
const AF_VSOCK = 40;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. Source: linux/sched.h. */
const NEW_NAMESPACES = 0x7e020000;

const ENOSYS = 38;

export interface SeccompSubject {
  /** Of the node, as in platforms: `arm64`. */
  architecture: string;
  /** Those that the process may ever have, its bounding set. */
  capabilities: readonly string[];
}

/**
 * Containerd's default filter: what is not known to be harmless fails with EPERM. It counts on Linux 4.8, from which on ptrace(2)
 * cannot get round it. Source: containerd contrib/seccomp/seccomp_default.go.
 */
export function defaultSeccomp({ architecture, capabilities }: SeccompSubject): SeccompSpec {
  const granted = new Set(capabilities);
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    ...(Object.hasOwn(ARCHITECTURES, architecture) && { architectures: [...ARCHITECTURES[architecture]!] }),
    syscalls: [
      allow(ALLOWED_CALLS),
      ...socketRules(),
      ...PERSONALITIES.map((value) => allow(['personality'], compare(0, 'SCMP_CMP_EQ', value))),
      ...(Object.hasOwn(CALLS_BY_ARCHITECTURE, architecture)
        ? [allow(CALLS_BY_ARCHITECTURE[architecture]!)]
        : []),
      ...Object.entries(CALLS_BY_CAPABILITY).flatMap(([capability, calls]) =>
        granted.has(capability) ? [allow(calls)] : [],
      ),
      ...(granted.has('CAP_SYS_ADMIN') ? [] : cloneRules(architecture)),
    ],
  };
}

/**
 * All families but the kernel's cryptography (CVE-2026-31431) and sockets to a hypervisor's host. In ranges: that both
 * differ from one argument cannot be said in a rule.
 */
function socketRules(): SeccompRule[] {
  return [
    allow(['socket'], compare(0, 'SCMP_CMP_LT', AF_ALG)),
    allow(['socket'], compare(0, 'SCMP_CMP_EQ', AF_ALG + 1)),
    allow(['socket'], compare(0, 'SCMP_CMP_GT', AF_VSOCK)),
  ];
}

/**
 * Threads and processes, but no namespaces. The flags of clone3(2) are in memory, where no filter looks: a C library that is
 * told of no such call uses clone(2). See https://github.com/moby/moby/pull/42681.
 */
function cloneRules(architecture: string): SeccompRule[] {
  // s390x has its arguments in another order.
  const index = architecture === 's390x' ? 1 : 0;
  return [
    allow(['clone'], { index, value: NEW_NAMESPACES, op: 'SCMP_CMP_MASKED_EQ' }),
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
  ];
}

function allow(names: readonly string[], ...args: SeccompArgument[]): SeccompRule {
  return { names: [...names], action: 'SCMP_ACT_ALLOW', ...(args.length > 0 && { args }) };
}

function compare(index: number, op: SeccompOperator, value: number): SeccompArgument {
  return { index, value, op };
}
