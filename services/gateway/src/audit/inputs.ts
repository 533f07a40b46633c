import type { DescMessage, DescService } from '@bufbuild/protobuf';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Diff } from '@longshore/proto/containerd/services/diff/v1/diff';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Mounts } from '@longshore/proto/containerd/services/mounts/v1/mounts';
import { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { Controller, Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Streaming } from '@longshore/proto/containerd/services/streaming/v1/streaming';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { AccessService } from '@longshore/proto/longshore/access/v1/access';
import { AuditService } from '@longshore/proto/longshore/audit/v1/audit';
import { CollectorService } from '@longshore/proto/longshore/content/v1/collector';
import { QuotaService } from '@longshore/proto/longshore/content/v1/quotas';
import { ScrubService } from '@longshore/proto/longshore/content/v1/scrub';
import { FleetService } from '@longshore/proto/longshore/image/v1/fleet';
import { StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import { TaskService } from '@longshore/proto/longshore/node/v1/tasks';
import { CertificateService } from '@longshore/proto/longshore/runtime/v1/certificates';
import { NodeAdminService } from '@longshore/proto/longshore/runtime/v1/nodes';

const SERVICES: readonly DescService[] = [
  Containers,
  Content,
  Diff,
  Events,
  Images,
  Leases,
  Mounts,
  Namespaces,
  Controller,
  Store,
  Snapshots,
  Streaming,
  Tasks,
  Transfer,
  AccessService,
  AuditService,
  CollectorService,
  QuotaService,
  ScrubService,
  FleetService,
  StdioService,
  TaskService,
  CertificateService,
  NodeAdminService,
];

const INPUTS: ReadonlyMap<string, DescMessage> = new Map(
  SERVICES.flatMap(({ typeName, methods }) =>
    methods.map(({ name, input }): [string, DescMessage] => [`/${typeName}/${name}`, input]),
  ),
);

/** The request of a method that changes something, by its path; a test looks that none is missing. */
export function inputOf(path: string): DescMessage | undefined {
  return INPUTS.get(path);
}
