/** A snapshotter that another process of this machine serves, as containerd's `proxy_plugins` have it. */
export interface ProxyPlugin {
  /** What clients call it, and what it is called there. */
  name: string;
  /** `unix:///path`. */
  address: string;
  exports: Readonly<Record<string, string>>;
  capabilities: readonly string[];
}
