import { type Address, formatAddress, parseAddresses } from '@longshore/transport';

/** An absolute path is a socket's, as containerd's clients take it. */
export function normalizeAddress(text: string): string {
  return text.startsWith('/') ? `unix://${text}` : text;
}

/** What is at an address, in a form to read; several have commas between. */
export interface Endpoints {
  readonly address: string;
  /** On this machine: paths mean the same on both sides. */
  readonly isLocal: boolean;
}

/** Throws InvalidArgument for what is no address, and for a list of sockets and hosts mixed. */
export function parseEndpoints(text: string): Endpoints {
  const parsed = parseAddresses(normalizeAddress(text));
  const isLocal = parsed.every(isUnix);
  return { address: parsed.map(formatAddress).join(','), isLocal };
}

function isUnix({ kind }: Address): boolean {
  return kind === 'unix';
}
