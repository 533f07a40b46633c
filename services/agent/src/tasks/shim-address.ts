import { unimplemented } from '@longshore/errors';

/** Where a shim listens. */
export type ShimAddress =
  /** A path, or a name beginning with NUL in the abstract space. */
  | { kind: 'unix'; path: string }
  /** A port of a virtual machine, behind the socket of its monitor. */
  | { kind: 'hybrid'; path: string; port: number };

const UNIX = 'unix://';
const HYBRID = /^hvsock:\/\/(.+):(\d+)$/;

/**
 * Reads `unix://<path>`, `hvsock://<path>:<port>`, or a name without a scheme, which is in the abstract socket space.
 * `Unimplemented` for others: Node has no `vsock`.
 */
export function parseShimAddress(address: string): ShimAddress {
  if (address.startsWith(UNIX)) return { kind: 'unix', path: address.slice(UNIX.length) };
  const [, path, port] = HYBRID.exec(address) ?? [];
  if (path && port) return { kind: 'hybrid', path, port: Number(port) };
  if (address.includes('://')) throw unimplemented(`shim address ${address}`);
  return { kind: 'unix', path: `\0${address}` };
}
