import {
  Introspection,
  type Plugin,
} from '@longshore/proto/containerd/services/introspection/v1/introspection';
import { Version } from '@longshore/proto/containerd/services/version/v1/version';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from './connection/connection.ts';

export interface ServerVersion {
  readonly version: string;
  readonly revision: string;
}

export async function serverVersion(connection: Connection, options?: CallOptions): Promise<ServerVersion> {
  const { version, revision } = await connection.service(Version).version({}, options);
  return { version, revision };
}

export interface ServerIdentity {
  /** Survives restarts. */
  readonly uuid: string;
  /** 0 when it is not told. */
  readonly pid: number;
}

export async function serverIdentity(connection: Connection, options?: CallOptions): Promise<ServerIdentity> {
  const { uuid, pid } = await connection.service(Introspection).server({}, options);
  return { uuid, pid: Number(pid) };
}

/** What the server is made of: snapshotters, runtimes and more, by type and id. */
export async function serverPlugins(
  connection: Connection,
  filters: readonly string[] = [],
  options?: CallOptions,
): Promise<Plugin[]> {
  const { plugins } = await connection.service(Introspection).plugins({ filters: [...filters] }, options);
  return plugins;
}
