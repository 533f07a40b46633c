import { describe, expect, it } from 'vitest';
import type { SeccompRule } from '../spec-seccomp.ts';
import { withAddedCapabilities } from './capabilities.ts';
import { defaultSeccomp } from './default-seccomp.ts';
import { defaultSpec } from './default-spec.ts';
import { KNOWN_CAPABILITIES } from './known-capabilities.ts';
import { withDefaultSeccomp, withSeccompUnconfined } from './seccomp.ts';
import { CALLS_BY_CAPABILITY } from './seccomp-calls.ts';
import { applySpecOptions } from './spec-option.ts';

const rulesFor = (architecture: string, ...capabilities: string[]) =>
  defaultSeccomp({ architecture, capabilities }).syscalls ?? [];

/** Whether the call passes with these first arguments, by the rules as libseccomp reads them. */
function allows(rules: SeccompRule[], name: string, ...args: number[]): boolean {
  return rules.some(
    (rule) =>
      rule.action === 'SCMP_ACT_ALLOW' &&
      rule.names.includes(name) &&
      (rule.args ?? []).every(({ index, op, value, valueTwo }) => {
        const argument = BigInt(args[index] ?? 0);
        const wanted = BigInt(value);
        if (op === 'SCMP_CMP_EQ') return argument === wanted;
        if (op === 'SCMP_CMP_LT') return argument < wanted;
        if (op === 'SCMP_CMP_GT') return argument > wanted;
        if (op === 'SCMP_CMP_MASKED_EQ') return (argument & wanted) === BigInt(valueTwo ?? 0);
        return expect.fail(op);
      }),
  );
}

describe('defaultSeccomp', () => {
  const plain = rulesFor('amd64');

  it('allows what programs need, and nothing that it does not name', () => {
    expect(defaultSeccomp({ architecture: 'amd64', capabilities: [] }).defaultAction).toBe('SCMP_ACT_ERRNO');
    for (const name of ['read', 'execve', 'ptrace', 'openat2']) expect(allows(plain, name), name).toBe(true);
    const refused = [
      'mount',
      'bpf',
      'unshare',
      'keyctl',
      'kexec_load',
      'io_uring_setup',
      'userfaultfd',
      'reboot',
    ];
    for (const name of refused) expect(allows(plain, name), name).toBe(false);
  });

  it('allows sockets of all families but two', () => {
    const families = Array.from({ length: 48 }, (_, family) => family);
    expect(families.filter((family) => !allows(plain, 'socket', family))).toEqual([38, 40]);
  });

  it('allows threads and processes but no namespaces', () => {
    const CLONE_THREAD = 0x3d0f00;
    const flags = [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000];
    expect(allows(plain, 'clone', CLONE_THREAD)).toBe(true);
    for (const flag of flags) expect(allows(plain, 'clone', CLONE_THREAD | flag)).toBe(false);
    expect(allows(rulesFor('s390x'), 'clone', 0x10000000, CLONE_THREAD)).toBe(true);
    expect(allows(rulesFor('s390x'), 'clone', 0, 0x10000000)).toBe(false);
    expect(plain.find(({ names }) => names.includes('clone3'))).toMatchObject({ errnoRet: 38 });
  });

  it('allows five personalities', () => {
    expect(allows(plain, 'personality', 0x8)).toBe(true);
    expect(allows(plain, 'personality', 0xffffffff)).toBe(true);
    // ADDR_NO_RANDOMIZE
    expect(allows(plain, 'personality', 0x0040000)).toBe(false);
  });

  it('allows more by capability', () => {
    const admin = rulesFor('amd64', 'CAP_SYS_ADMIN');
    expect(['mount', 'unshare', 'clone3'].every((name) => allows(admin, name))).toBe(true);
    expect(allows(admin, 'clone', 0x10000000)).toBe(true);
    expect(allows(rulesFor('amd64', 'CAP_SYS_TIME'), 'clock_settime')).toBe(true);
    expect(allows(rulesFor('amd64', 'CAP_SYS_CHROOT'), 'chroot')).toBe(true);
    for (const name of Object.keys(CALLS_BY_CAPABILITY)) expect(KNOWN_CAPABILITIES).toContain(name);
  });

  it('allows more by architecture, and filters the smaller ones that a kernel runs too', () => {
    expect(allows(plain, 'arch_prctl')).toBe(true);
    expect(allows(rulesFor('arm64'), 'arch_prctl')).toBe(false);
    expect(allows(rulesFor('arm64'), 'cacheflush')).toBe(true);
    const architecturesOf = (architecture: string) =>
      defaultSeccomp({ architecture, capabilities: [] }).architectures;
    expect(architecturesOf('amd64')).toEqual(['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32']);
    expect(architecturesOf('ppc64le')).toBeUndefined();
  });
});

describe('withDefaultSeccomp', () => {
  it("goes by the spec's own capabilities", () => {
    const base = defaultSpec({ namespace: 'default', id: 'web' });
    const spec = applySpecOptions(base, withAddedCapabilities(['SYS_ADMIN']), withDefaultSeccomp('arm64'));
    expect(allows(spec.linux?.seccomp?.syscalls ?? [], 'mount')).toBe(true);
    expect(spec.linux?.seccomp?.architectures).toContain('SCMP_ARCH_AARCH64');
    expect(withSeccompUnconfined(spec).linux).not.toHaveProperty('seccomp');
  });
});
