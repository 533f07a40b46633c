import { notFound } from '@longshore/errors';
import type { Call, GrpcServer } from '@longshore/kit';
import { ReservedLabel } from '@longshore/proto/headers';
import { FleetService, PullResponse_Phase as Phase } from '@longshore/proto/longshore/image/v1/fleet';
import { CertificateService } from '@longshore/proto/longshore/runtime/v1/certificates';
import { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import { NodeAdminService, NodeService, NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { Revocations } from '@longshore/transport';

/** longshore's own services of a {@link StandIn}: what it was asked is in `asked`. */
export class StandInRegistry {
  /** Addresses of agents by node. */
  readonly nodes = new Map<string, string>();
  /** States by node; ready when not said. */
  readonly states = new Map<string, NodeState>();
  /** Nodes by the id of a container. */
  readonly found = new Map<string, string[]>();
  /** Nodes by filters, with commas between; any when not said. */
  readonly matching = new Map<string, string[]>();
  /** Ids of the containers of a node; `of-<node>` when not said. */
  readonly containers = new Map<string, string[]>([['n1', ['of-agent']]]);
  /** `<node>/<container>` of containers that were marked as deleting. */
  readonly marked = new Set<string>();
  readonly asked: object[] = [];
  /** What it tells the gateway of. */
  readonly revocations = new Revocations();
  readonly #answer: (call: Call) => Promise<void>;

  constructor(answer: (call: Call) => Promise<void>) {
    this.#answer = answer;
  }

  addTo(server: GrpcServer): void {
    server.add(NodeService, {
      get: ({ id }, call) => this.#with(call, { node: this.#node(id) }),
      list: (request, call) =>
        this.#with(call, { nodes: [...this.nodes.keys()].map((id) => this.#node(id)) }, request),
    });
    server.add(ContainerService, {
      find: ({ id, filters }, call) => {
        const nodes = id === '' ? this.matching.get(filters.join()) : (this.found.get(id) ?? []);
        return this.#with(call, { nodes: nodes ?? [], anyNode: nodes === undefined });
      },
      listPage: (request, call) => {
        const nodes = [...this.nodes.keys()].filter((node) => request.node === '' || request.node === node);
        const containers = nodes.flatMap((node) =>
          (this.containers.get(node) ?? [`of-${node}`]).map((id) => ({
            node,
            container: this.#record(node, id),
          })),
        );
        return this.#with(call, { containers }, request);
      },
      markDeleting: async ({ id }, call) => {
        this.marked.add(`${call.node}/${id}`);
        return this.#with(call, {});
      },
    });
    server.add(NodeAdminService, {
      createJoinToken: (request, call) =>
        this.#with(
          call,
          { id: 't1', token: 'secret.a/b', expiresAt: { seconds: 3600n }, server: 'cp:7000' },
          request,
        ),
      listJoinTokens: (_, call) =>
        this.#with(call, {
          tokens: [{ id: 't1', nodeId: 'n7', createdAt: { seconds: 1n }, expiresAt: { seconds: 2n } }],
        }),
      deleteJoinToken: (request, call) => this.#with(call, {}, request),
      setCordon: (request, call) =>
        this.#with(call, { node: { ...this.#node(request.id), cordoned: request.cordoned } }, request),
      drain: (request, call) =>
        this.#with(call, { node: { ...this.#node(request.id), state: NodeState.DRAINING } }, request),
      remove: (request, call) =>
        this.#with(call, { node: { ...this.#node(request.id), state: NodeState.GONE } }, request),
      setLabels: (request, call) =>
        this.#with(call, { node: { ...this.#node(request.id), labels: request.labels } }, request),
    });
    const revocations = this.revocations;
    server.add(CertificateService, {
      revoke: (request, call) => this.#with(call, {}, request),
      async *watchRevocations(_, call) {
        yield { serials: revocations.serials };
        while (!call.signal.aborted) {
          await nextChange(revocations, call.signal);
          yield { serials: revocations.serials };
        }
      },
    });
    const pull = this.#pull.bind(this);
    server.add(FleetService, { pull });
  }

  async *#pull(request: { reference: string }, call: Call) {
    await this.#with(call, {}, request);
    if (request.reference === 'none') throw notFound('image "none"');
    const blob = { digest: 'sha256:2', offset: 1n, total: 2n, status: 'fetching' };
    yield { phase: Phase.FETCHING, digest: 'sha256:1', blobs: [blob] };
    if (request.reference === 'breaks') throw notFound('blob "sha256:2"');
    yield {
      phase: Phase.DONE,
      digest: 'sha256:1',
      nodes: [
        { node: 'n1', done: true },
        { node: 'n2', done: true, error: 'node "n2": away: unavailable', code: 14 },
      ],
    };
  }

  #record(node: string, id: string) {
    const isMarked = this.marked.has(`${node}/${id}`);
    return {
      id,
      runtime: { name: 'r' },
      labels: isMarked ? { [ReservedLabel.Deleting]: 'true' } : {},
      createdAt: { seconds: 1n },
      updatedAt: { seconds: 1n },
    };
  }

  #node(id: string) {
    const address = this.nodes.get(id);
    if (address === undefined) throw notFound(`node ${JSON.stringify(id)}`);
    return {
      id,
      address,
      state: this.states.get(id) ?? NodeState.READY,
      cgroupVersion: 2,
      labels: {},
      capacity: { cpus: 4, memoryBytes: 1n << 33n },
      createdAt: { seconds: 1n },
      lastSeenAt: { seconds: 1n },
    };
  }

  async #with<T>(call: Call, answer: T, request?: object): Promise<T> {
    if (request) this.asked.push(request);
    await this.#answer(call);
    return answer;
  }
}

function nextChange(revocations: Revocations, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = revocations.onChange(() => done());
    const done = () => {
      stop();
      resolve();
    };
    signal.addEventListener('abort', done, { once: true });
  });
}
