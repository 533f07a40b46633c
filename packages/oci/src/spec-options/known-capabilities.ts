import { invalidArgument } from '@longshore/errors';

/** Every capability of Linux, at the index of its number; the last is of Linux 5.9. Source: linux/capability.h. */
export const KNOWN_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
];

/** What a container's root may do. Source: containerd pkg/oci/spec.go. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** `net_admin` and `CAP_NET_ADMIN` alike are the latter. Throws InvalidArgument for what Linux does not know. */
export function parseCapability(text: string): string {
  const upper = text.toUpperCase();
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (!KNOWN_CAPABILITIES.includes(name)) {
    throw invalidArgument(`capability ${JSON.stringify(text)} is unknown`);
  }
  return name;
}

/**
 * The capabilities of a mask as in `CapEff:` of `/proc/<pid>/status`, those that are unknown here left out. Throws
 * InvalidArgument for what is no hexadecimal number.
 */
export function parseCapabilityMask(hexadecimal: string): string[] {
  if (!/^[0-9a-f]{1,16}$/i.test(hexadecimal)) {
    throw invalidArgument(`capability mask ${JSON.stringify(hexadecimal)} is no hexadecimal number`);
  }
  const mask = BigInt(`0x${hexadecimal}`);
  return KNOWN_CAPABILITIES.filter((_, number) => (mask >> BigInt(number)) & 1n);
}
