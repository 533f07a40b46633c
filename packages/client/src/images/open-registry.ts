import {
  type CredentialSource,
  MirroredRegistry,
  plainRegistryHost,
  type RegistryHost as RegistryPlace,
  registryHosts,
} from '@longshore/registry';

/** How one registry is reached. */
export interface RegistryHost {
  /** Loopback is always reached over HTTP, others over HTTPS unless this is set. */
  plainHttp?: boolean | undefined;
  /** Certificate authorities in PEM, beside those that Node knows. */
  ca?: string | undefined;
  /** Sent with every request to it. */
  headers?: Readonly<Record<string, string>> | undefined;
}

/** By host as in references, `host` or `host:port`. */
export type RegistryHosts = Readonly<Record<string, RegistryHost>>;

export interface RegistryOptions {
  /** Asked once a registry, or a host that stands in for it, wants to know who calls: each by its own name, at most once. */
  credentials?: CredentialSource | undefined;
  hosts?: RegistryHosts | undefined;
  /**
   * Where `<registry>/hosts.toml` tell of mirrors, certificates and headers, e.g. `/etc/containerd/certs.d`; of several, the first that has
   * the registry counts. Goes for those that `hosts` does not name. Read by this process, which then fetches by itself.
   */
  hostsDirectory?: string | readonly string[] | undefined;
}

/** A registry for one transfer of one caller: connections, credentials and tokens end with it. Throws FailedPrecondition for bad files. */
export async function openRegistry(host: string, options: RegistryOptions): Promise<MirroredRegistry> {
  return new MirroredRegistry(host, await placesOf(host, options), options.credentials);
}

export function hostOf(hosts: RegistryHosts | undefined, host: string): RegistryHost {
  return (hosts && Object.hasOwn(hosts, host) && hosts[host]) || {};
}

async function placesOf(
  host: string,
  { hosts, hostsDirectory }: RegistryOptions,
): Promise<readonly RegistryPlace[]> {
  const isNamed = hosts !== undefined && Object.hasOwn(hosts, host);
  if (hostsDirectory !== undefined && !isNamed) return registryHosts([hostsDirectory].flat(), host);
  const { plainHttp = false, ca, headers = {} } = hostOf(hosts, host);
  return [{ ...plainRegistryHost(host, plainHttp), ca: ca === undefined ? [] : [ca], headers }];
}
