import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Channel, createClient } from '@longshore/client';
import {
  type ConfigOf,
  GrpcServer,
  type RunningService,
  type ServiceContext,
  Upstream,
} from '@longshore/kit';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Diff } from '@longshore/proto/containerd/services/diff/v1/diff';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { Introspection } from '@longshore/proto/containerd/services/introspection/v1/introspection';
import { Snapshots as SnapshotsService } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Version } from '@longshore/proto/containerd/services/version/v1/version';
import { BlobService } from '@longshore/proto/longshore/content/v1/blobs';
import { SpoolService } from '@longshore/proto/longshore/events/v1/spool';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { CatalogueService } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import type { keys } from './config.ts';
import { BlobSource } from './content/blob-source.ts';
import { LayerApplier } from './diff/apply.ts';
import { agentMetrics } from './metrics.ts';
import { loadIdentity } from './node/identity.ts';
import { Registration } from './node/registration.ts';
import { SOFTWARE_VERSION } from './node/version.ts';
import { diffRpc } from './rpc/diff-rpc.ts';
import { eventsRpc } from './rpc/events-rpc.ts';
import { introspectionRpc } from './rpc/introspection-rpc.ts';
import { snapshotsRpc } from './rpc/snapshots-rpc.ts';
import { tasksRpc } from './rpc/tasks-rpc.ts';
import { versionRpc } from './rpc/version-rpc.ts';
import { Housekeeping } from './snapshots/housekeeping.ts';
import { OverlayfsSnapshotter } from './snapshots/overlayfs/overlayfs-snapshotter.ts';
import { Snapshots } from './snapshots/snapshots.ts';
import { UnsettledLayers } from './snapshots/unsettled-layers.ts';
import { AnswerCache } from './socket/answer-cache.ts';
import { causedEvents } from './socket/caused-events.ts';
import { ChangeWatch } from './socket/change-watch.ts';
import { nodeHeaders, toControlPlane } from './socket/control-plane.ts';
import { nodeDoor } from './socket/node-door.ts';
import type { Keeper } from './socket/remembered.ts';
import { EventHub } from './spool/event-hub.ts';
import { EventSpool } from './spool/event-spool.ts';
import { NodeEvents } from './spool/node-events.ts';
import { SpoolSender } from './spool/spool-sender.ts';
import { containerLookup } from './tasks/container-lookup.ts';
import { TaskManager } from './tasks/task-manager.ts';
import { traceHeaders } from './tasks/trace-headers.ts';

type Config = ConfigOf<typeof keys>;

export async function start(config: Config, context: ServiceContext): Promise<RunningService> {
  const { log, metrics } = context;
  await using undo = new AsyncDisposableStack();
  const identity = loadIdentity(config.root, config.nodeId);
  const onBehalfOf = toControlPlane(identity.id);

  const channel = (address: string) => undo.adopt(new Channel(address, config), (opened) => opened.close());
  const content = channel(config.content);
  const image = channel(config.image);
  const runtime = channel(config.runtime);
  const snapshot = channel(config.snapshot);
  const catalogue = createClient(CatalogueService, snapshot);
  const spoolService = createClient(SpoolService, channel(config.events));

  const spool = undo.use(new EventSpool(join(config.root, 'spool.db')));
  const hub = new EventHub();
  const events = new NodeEvents(spool, hub);
  const headers = nodeHeaders(identity.id);
  const sender = new SpoolSender({
    spool,
    append: async (batch, signal) => void (await spoolService.append({ events: batch }, { signal, headers })),
    log,
  });

  const tasks = await TaskManager.open({
    node: identity.id,
    stateDir: config.state,
    rootDir: config.root,
    cgroupParent: config.cgroupParent,
    socketPath: config.socket,
    publishBinary: process.execPath,
    env: context.env,
    debug: config.logLevel === 'debug' || config.logLevel === 'trace',
    containers: containerLookup(createClient(Containers, runtime), identity.id),
    recorder: events,
    log,
    traceHeaders,
  });
  undo.use(tasks);

  const overlayfs = await OverlayfsSnapshotter.open(join(config.root, 'snapshots/overlayfs'));
  const unsettled = new UnsettledLayers();
  const snapshots = new Snapshots({ catalogue, snapshotters: [overlayfs], unsettled, log });
  const housekeeping = await Housekeeping.start({
    catalogue,
    nodeId: identity.id,
    snapshotters: [overlayfs],
    unsettled,
    quarantined: agentMetrics(metrics).quarantined,
    log,
  });
  undo.adopt(housekeeping, (started) => started.close());
  const mountPoints = join(config.root, 'tmp');
  mkdirSync(mountPoints, { recursive: true, mode: 0o700 });
  const applier = undo.adopt(new LayerApplier({ tempDirectory: mountPoints }), (opened) => opened.close());

  const local = new GrpcServer(log, metrics);
  local.add(Tasks, tasksRpc(tasks));
  local.add(SnapshotsService, snapshotsRpc({ snapshots, catalogue, toControlPlane: onBehalfOf }));
  const blobs = new BlobSource(createClient(BlobService, content), createClient(Content, content));
  local.add(Diff, diffRpc({ blobs, applier, toControlPlane: onBehalfOf }));
  local.add(Events, eventsRpc(events, hub, local.stopping));
  local.add(
    Introspection,
    introspectionRpc({ uuid: identity.uuid, snapshotRoot: join(config.root, 'snapshots/overlayfs') }),
  );
  local.add(Version, versionRpc);
  const localAddress = await local.listen(`unix://${config.state}/agent-local.sock`, config);

  const answers = {
    content: new AnswerCache(),
    image: new AnswerCache(),
    runtime: new AnswerCache(),
    snapshot: new AnswerCache(),
  };
  for (const [service, keeperChannel] of Object.entries({ content, image, runtime, snapshot })) {
    const cache = answers[service as Keeper];
    undo.use(
      new ChangeWatch({ service, client: createClient(WatchService, keeperChannel), headers, cache, log }),
    );
  }

  const upstream = (address: string) => undo.adopt(new Upstream(address, config), (opened) => opened.close());
  const door = nodeDoor({
    nodeId: identity.id,
    upstreams: {
      agent: upstream(localAddress),
      content: upstream(config.content),
      image: upstream(config.image),
      runtime: upstream(config.runtime),
    },
    answers,
    onEvents: causedEvents(hub, log),
    log,
  });
  await door.listen(`unix://${config.socket}`, config);
  const address = await door.listen(config.listen, config);

  sender.start();
  undo.use(sender);
  const registration = new Registration({
    nodeId: identity.id,
    address,
    softwareVersion: SOFTWARE_VERSION,
    snapshotters: ['overlayfs'],
    heartbeatMs: config.heartbeatMs,
    nodes: createClient(NodeService, runtime),
    log,
  });
  registration.start();

  const owned = undo.move();
  return {
    addresses: { socket: `unix://${config.socket}`, grpc: address },
    isHealthy: () => local.health.serving,
    async close() {
      registration.close();
      await Promise.all([door.close(config.shutdownTimeoutMs), local.close(config.shutdownTimeoutMs)]);
      await owned.disposeAsync();
    },
  };
}
