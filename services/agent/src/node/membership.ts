import { join } from 'node:path';
import type { Handlers, Logger } from '@longshore/kit';
import type { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { CertificateService } from '@longshore/proto/longshore/runtime/v1/certificates';
import { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { type Channel, createClient } from '@longshore/rpc';
import { ownStopSignal } from '../stop/own-stop-signal.ts';
import type { ContainerLookup } from '../tasks/task-context.ts';
import type { TaskManager } from '../tasks/task-manager.ts';
import { admitting, requireAdmitted } from './admission.ts';
import { CertificateRenewal } from './certificate-renewal.ts';
import { DeletingContainers } from './deleting-containers.ts';
import { Desired } from './desired.ts';
import { DesiredStore } from './desired-store.ts';
import { Drainer } from './drainer.ts';
import { type HostOptions, hostReport } from './host.ts';
import { IdentityFiles } from './identity-files.ts';
import { Registration } from './registration.ts';

export interface MembershipOptions extends Omit<HostOptions, 'address'> {
  /** Says of which node and fleet this is. */
  owner: string;
  heartbeatMs: number;
  tasks: TaskManager;
  /** Say by what signal they want to end. */
  containers: ContainerLookup;
  runtime: Channel;
  log: Logger;
}

/** This node as a part of the fleet: it registers, does what is asked of it, and keeps its certificate good. */
export class Membership {
  readonly deleting: DeletingContainers;
  readonly #options: MembershipOptions;
  readonly #store: DesiredStore;
  readonly #desired: Desired;
  readonly #drainer: Drainer;
  readonly #renewal: CertificateRenewal;
  #registration: Registration | undefined;

  constructor(options: MembershipOptions) {
    const { nodeId, owner, tasks, containers: records, runtime, root, log } = options;
    this.#options = options;
    this.#store = new DesiredStore(join(root, 'desired.db'), owner);
    this.#desired = new Desired(nodeId, this.#store, log);
    this.#drainer = new Drainer(tasks, this.#desired, ownStopSignal(records), log);
    const certificates = createClient(CertificateService, runtime);
    this.#renewal = new CertificateRenewal(new IdentityFiles(root), certificates, log);
    const containers = createClient(ContainerService, runtime);
    this.deleting = new DeletingContainers({ nodeId, tasks, containers, log });
  }

  /** The node's tasks, for callers: none is made while the node is cordoned. */
  admit(tasks: Handlers<typeof Tasks>): Handlers<typeof Tasks> {
    return admitting(tasks, this.#desired, this.deleting);
  }

  /** For whoever makes tasks otherwise: throws FailedPrecondition while none may be made of the container. */
  requireAdmitted(namespace: string, id: string): void {
    requireAdmitted(this.#desired, this.deleting, namespace, id);
  }

  /** `address` is where the control plane reaches this agent. */
  start(address: string): void {
    const { nodeId, heartbeatMs, tasks, runtime, log } = this.#options;
    this.#registration = new Registration({
      nodeId,
      report: () => hostReport({ ...this.#options, address }),
      runningTasks: () => tasks.running().length,
      heartbeatMs,
      nodes: createClient(NodeService, runtime),
      desired: this.#desired,
      keptTasks: (kept) => this.deleting.release(kept),
      log,
    });
    this.#registration.start();
    this.#renewal.start();
  }

  close(): void {
    this.#registration?.close();
    this.#renewal.close();
    this.#drainer.close();
    this.deleting.close();
    this.#store[Symbol.dispose]();
  }
}
