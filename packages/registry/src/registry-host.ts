import { endpointOf } from './endpoint.ts';

/** What a host may be asked for: bytes, what a tag stands for, taking an image. */
export type HostCapability = 'pull' | 'resolve' | 'push';

export const ALL_CAPABILITIES: ReadonlySet<HostCapability> = new Set(['pull', 'resolve', 'push']);

/** One place that images of a registry are at: the registry itself, or one that stands in for it. */
export interface RegistryHost {
  /** Where its distribution API is, e.g. `https://mirror.example/v2`. */
  readonly endpoint: string;
  readonly capabilities: ReadonlySet<HostCapability>;
  /** Certificate authorities in PEM, beside those that Node knows. */
  readonly ca: readonly string[];
  /** Whom it is shown, in PEM; a certificate's text may have its key too. */
  readonly clients: readonly { readonly cert: string; readonly key: string }[];
  /** Whoever answers is believed. */
  readonly skipsVerification: boolean;
  /** Sent with every request to this host, and to no other. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A registry that nothing was said of. `host` as in references. */
export function plainRegistryHost(host: string, plainHttp = false): RegistryHost {
  return {
    endpoint: `${endpointOf(host, plainHttp)}/v2`,
    capabilities: ALL_CAPABILITIES,
    ca: [],
    clients: [],
    skipsVerification: false,
    headers: {},
  };
}
