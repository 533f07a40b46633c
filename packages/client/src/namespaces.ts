import { Namespaces as NamespacesService } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from './connection/connection.ts';

export interface NamespaceInfo {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The namespaces of a server; most come to be with what is first made in them. */
export class Namespaces {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async list(options?: CallOptions): Promise<NamespaceInfo[]> {
    const { namespaces } = await this.#connection.service(NamespacesService).list({}, options);
    return namespaces.map(({ name, labels }) => ({ name, labels }));
  }

  /** Throws AlreadyExists. */
  async create(
    name: string,
    labels: Readonly<Record<string, string>> = {},
    options?: CallOptions,
  ): Promise<void> {
    await this.#connection.service(NamespacesService).create({ namespace: { name, labels } }, options);
  }

  async labels(name: string, options?: CallOptions): Promise<Readonly<Record<string, string>>> {
    const { namespace } = await this.#connection.service(NamespacesService).get({ name }, options);
    return namespace?.labels ?? {};
  }

  /** Sets these, and leaves the others; an empty value takes a label away. */
  async setLabels(
    name: string,
    labels: Readonly<Record<string, string>>,
    options?: CallOptions,
  ): Promise<void> {
    const paths = Object.keys(labels).map((key) => `labels.${key}`);
    if (paths.length === 0) return;
    const request = { namespace: { name, labels }, updateMask: { paths } };
    await this.#connection.service(NamespacesService).update(request, options);
  }

  /** Throws NotFound, FailedPrecondition while there is anything in it. */
  async delete(name: string, options?: CallOptions): Promise<void> {
    await this.#connection.service(NamespacesService).delete({ name }, options);
  }
}
