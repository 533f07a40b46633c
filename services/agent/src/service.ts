import { join } from 'node:path';
import {
  type ConfigOf,
  GrpcServer,
  Revocations,
  type RunningService,
  type ServiceContext,
  Upstream,
} from '@longshore/kit';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Diff } from '@longshore/proto/containerd/services/diff/v1/diff';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Introspection } from '@longshore/proto/containerd/services/introspection/v1/introspection';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Snapshots as SnapshotsService } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Streaming } from '@longshore/proto/containerd/services/streaming/v1/streaming';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { Version } from '@longshore/proto/containerd/services/version/v1/version';
import { Header } from '@longshore/proto/headers';
import { BlobService, ClaimService } from '@longshore/proto/longshore/content/v1/blobs';
import { SpoolService } from '@longshore/proto/longshore/events/v1/spool';
import { ImageService } from '@longshore/proto/longshore/node/v1/images';
import { StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import { TaskService } from '@longshore/proto/longshore/node/v1/tasks';
import { CatalogueService } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import { RegistryTransport, readCaFile } from '@longshore/registry';
import { Channel, createClient, watchRevocations } from '@longshore/rpc';
import { traceHeaders } from '@longshore/transport';
import type { keys } from './config.ts';
import { BlobCache } from './content/blob-cache.ts';
import { BlobSource } from './content/blob-source.ts';
import { BlobUrls } from './content/blob-urls.ts';
import { LocalFiles } from './content/local-files.ts';
import { LayerApplier } from './diff/apply.ts';
import { LayerComparer } from './diff/compare/layer-comparer.ts';
import { findGunzip } from './diff/gunzip-program.ts';
import { clearMountPoints } from './diff/mount-points.ts';
import { ContainerCollector } from './metrics/container-collector.ts';
import { OomCount } from './metrics/oom-count.ts';
import { runtimeOf } from './metrics/runtime-of.ts';
import { agentMetrics } from './metrics.ts';
import { machineIdOf } from './node/host.ts';
import { loadIdentity } from './node/identity.ts';
import { noticeLostLink, PING_EVERY_MS } from './node/lost-link.ts';
import { Membership } from './node/membership.ts';
import { writePublishBinary } from './publish/publish-binary.ts';
import { BlobPrefetch } from './records/blob-prefetch.ts';
import { copyOwner } from './records/copy-owner.ts';
import { NodeRecords, type TrailersRead } from './records/node-records.ts';
import { SmallBlobs } from './records/small-blobs.ts';
import { containerRemoval } from './removal/remove-container.ts';
import { keptLogOf } from './restart/kept-log.ts';
import { OwnLabelStore } from './restart/own-label-store.ts';
import { OwnLabels } from './restart/own-labels.ts';
import { RestartMonitor } from './restart/restart-monitor.ts';
import { restartRootfs } from './restart/restart-rootfs.ts';
import { SupervisedContainers } from './restart/supervised-containers.ts';
import { diffRpc } from './rpc/diff-rpc.ts';
import { eventsRpc } from './rpc/events-rpc.ts';
import { imageInstallRpc } from './rpc/image-install-rpc.ts';
import { introspectionRpc } from './rpc/introspection-rpc.ts';
import { snapshotsRpc } from './rpc/snapshots-rpc.ts';
import { stdioRpc } from './rpc/stdio-rpc.ts';
import { streamingRpc } from './rpc/streaming-rpc.ts';
import { taskControlRpc } from './rpc/task-control-rpc.ts';
import { tasksRpc } from './rpc/tasks-rpc.ts';
import { transferRpc } from './rpc/transfer-rpc.ts';
import { versionRpc } from './rpc/version-rpc.ts';
import { withOptDirectory } from './runtimes/opt-directory.ts';
import { runtimeInfo } from './runtimes/runtime-info.ts';
import { Housekeeping } from './snapshots/housekeeping.ts';
import { openSnapshotters } from './snapshots/open-snapshotters.ts';
import { SnapshotRecords } from './snapshots/snapshot-records.ts';
import { Snapshots } from './snapshots/snapshots.ts';
import { UnsettledLayers } from './snapshots/unsettled-layers.ts';
import { blobReads } from './socket/blob-reads.ts';
import { causedEvents } from './socket/caused-events.ts';
import { nodeHeaders, toControlPlane } from './socket/control-plane.ts';
import { countedOpener } from './socket/counted-opener.ts';
import { nodeDoor } from './socket/node-door.ts';
import { recordReads } from './socket/record-reads.ts';
import { snapshotReads } from './socket/snapshot-reads.ts';
import { EventHub } from './spool/event-hub.ts';
import { EventSpool } from './spool/event-spool.ts';
import { NodeEvents } from './spool/node-events.ts';
import { SpoolSender } from './spool/spool-sender.ts';
import { toStream } from './spool/to-stream.ts';
import { isDeletedIn, onContainerDeleted } from './stdio/deleted-containers.ts';
import { KeptStdio } from './stdio/kept-stdio.ts';
import { LogReaders } from './stdio/log-readers.ts';
import { RemoteProcesses } from './stdio/remote-processes.ts';
import { containerLookup } from './tasks/container-lookup.ts';
import { TaskManager } from './tasks/task-manager.ts';
import { hearsTrailers } from './transfer/hear-trailers.ts';
import { NodeImages } from './transfer/node-images.ts';
import { StreamTable } from './transfer/stream-table.ts';
import { Unpacker } from './transfer/unpacker.ts';

type Config = ConfigOf<typeof keys>;
type Peer = 'content' | 'image' | 'snapshot' | 'runtime' | 'events';

export async function start(config: Config, context: ServiceContext): Promise<RunningService> {
  const { log, metrics } = context;
  await using undo = new AsyncDisposableStack();
  const identity = loadIdentity(config.root, config.nodeId);
  const onBehalfOf = toControlPlane(identity.id);

  const revocations = new Revocations();
  const { called, quarantined, logBytesDropped } = agentMetrics(metrics);
  const to = (name: Peer) => ({ expect: `service/${name}`, revocations, log, onSocket: noticeLostLink });
  const channel = (name: Peer) =>
    undo.adopt(
      new Channel(config[name], config, { ...to(name), onCall: called, pingEveryMs: PING_EVERY_MS }),
      (opened) => opened.close(),
    );
  const content = channel('content');
  const image = channel('image');
  const runtime = channel('runtime');
  const snapshot = channel('snapshot');
  if (config.tlsCa) {
    undo.use(watchRevocations(runtime, revocations, log, { file: join(config.root, 'revocations') }));
  }
  const catalogue = createClient(CatalogueService, snapshot);
  const spoolService = createClient(SpoolService, channel('events'));

  const spool = undo.use(new EventSpool(join(config.root, 'spool.db')));
  const hub = new EventHub();
  const events = new NodeEvents(spool, hub);
  const onEvents = causedEvents(hub, log);
  const tellEvents = (trailers: TrailersRead) => onEvents(trailers.get(Header.EventBin) as Buffer[]);
  const headers = nodeHeaders(identity.id);
  const sender = new SpoolSender({
    spool,
    ...toStream(spoolService, headers),
    checkEveryMs: config.spoolCheckMs,
    log,
  });

  const owner = copyOwner(identity.id, config.tlsCa);
  const watchOf = (from: Channel) => createClient(WatchService, from);
  const records = undo.use(
    new NodeRecords({
      path: join(config.root, 'records.db'),
      owner,
      watches: {
        content: watchOf(content),
        image: watchOf(image),
        runtime: watchOf(runtime),
        snapshot: watchOf(snapshot),
      },
      headers,
      log,
    }),
  );
  const contents = createClient(Content, content);
  const smallBlobs = undo.use(new SmallBlobs(join(config.root, 'small-blobs.db')));
  const prefetch = undo.use(new BlobPrefetch({ content: contents, headers, blobs: smallBlobs, log }));
  records.copy.onChange(prefetch.onRecord);

  const ooms = undo.use(new OomCount(hub));
  const runtimeEnv = withOptDirectory(context.env, config.optDir);
  const containerRecords = containerLookup(records.copy, createClient(Containers, runtime), identity.id);
  const stdio = undo.use(
    new KeptStdio({
      stateDir: config.state,
      rootDir: config.root,
      limits: { fileBytes: config.logFileBytes, files: config.logFiles },
      isDeleted: isDeletedIn(records.copy),
      onDropped: (bytes) => logBytesDropped.inc(bytes),
      log,
    }),
  );
  const tasks = await TaskManager.open({
    node: identity.id,
    stateDir: config.state,
    rootDir: config.root,
    cgroupParent: config.cgroupParent,
    socketPath: config.socket,
    publishBinary: writePublishBinary(config.root),
    env: runtimeEnv,
    shimEnv: config.shimEnv,
    debug: config.logLevel === 'debug' || config.logLevel === 'trace',
    containers: containerRecords,
    recorder: events,
    stdio,
    log,
    traceHeaders,
  });
  undo.use(tasks);
  stdio.sweep();
  onContainerDeleted(records.copy, (namespace, id) => stdio.containerDeleted(namespace, id));
  if (config.containerMetrics) {
    const containers = new ContainerCollector({
      tasks,
      runtimeOf: (namespace, id) => runtimeOf(records.copy, namespace, id),
      ooms,
      log,
    });
    metrics.atScrape.push(() => containers.text());
  }
  const snapshotters = await openSnapshotters(join(config.root, 'snapshots'), config.proxySnapshotters);
  undo.defer(() => {
    for (const snapshotter of snapshotters) snapshotter.close?.();
  });
  const membership = new Membership({
    nodeId: identity.id,
    owner,
    labels: config.labels,
    machineId: machineIdOf(config.machineId, identity.uuid),
    snapshotters: snapshotters.map(({ name }) => name),
    root: config.root,
    searchPath: context.env.PATH ?? '',
    heartbeatMs: config.heartbeatMs,
    tasks,
    containers: containerRecords,
    runtime,
    log,
  });

  const unsettled = new UnsettledLayers();
  const snapshotRecords = new SnapshotRecords(records.copy);
  const snapshots = new Snapshots({
    catalogue,
    records: snapshotRecords,
    snapshotters,
    unsettled,
    log,
  });
  const containersOfNode = createClient(Containers, runtime);
  const onOwnTrailers = (trailers: TrailersRead) => {
    records.takeFrom(trailers);
    tellEvents(trailers);
  };
  const ownLabels = new OwnLabels({
    nodeId: identity.id,
    store: undo.use(new OwnLabelStore(join(config.root, 'own-labels.db'), owner)),
    containers: containersOfNode,
    onTrailers: onOwnTrailers,
    log,
  });
  const logReaders = new LogReaders();
  const rootfsOf = restartRootfs(snapshots, identity.id);
  const restarts = undo.use(
    new RestartMonitor({
      tasks,
      containers: new SupervisedContainers(records.copy, containerRecords),
      labels: ownLabels,
      rootfsOf,
      keptLogOf: keptLogOf(tasks, stdio),
      requireAdmitted: (namespace, id) => membership.requireAdmitted(namespace, id),
      removeContainer: containerRemoval({
        nodeId: identity.id,
        snapshots,
        containers: containersOfNode,
        onTrailers: onOwnTrailers,
      }),
      logRead: (namespace, id) => logReaders.gone(namespace, id),
      hub,
      intervalMs: config.restartIntervalMs,
      maxMs: config.restartMaxBackoffMs,
      log,
    }),
  );
  const housekeeping = await Housekeeping.start({
    catalogue,
    records: records.copy,
    nodeId: identity.id,
    snapshotters,
    unsettled,
    quarantined,
    log,
  });
  undo.adopt(housekeeping, (started) => started.close());
  const mountPoints = join(config.root, 'tmp');
  await clearMountPoints(mountPoints);
  const applier = undo.use(
    new LayerApplier({
      tempDirectory: mountPoints,
      gunzip: await findGunzip(context.env.PATH ?? ''),
      processors: Object.entries(config.streamProcessors).map(([id, table]) => ({ id, ...table })),
      env: context.env,
    }),
  );
  const comparer = undo.use(new LayerComparer({ tempDirectory: mountPoints }));

  const local = new GrpcServer(log, metrics);
  local.add(Tasks, membership.admit(tasksRpc(tasks)));
  local.add(
    TaskService,
    taskControlRpc({ tasks, containers: containerRecords, labels: ownLabels, restarts, log }),
  );
  local.add(
    SnapshotsService,
    snapshotsRpc({ snapshots, catalogue, records, housekeeping, toControlPlane: onBehalfOf }),
  );
  const blobService = createClient(BlobService, content);
  const cache = await BlobCache.open(join(config.root, 'blob-cache'), config.blobCacheBytes);
  const urls = undo.adopt(new BlobUrls(config, revocations, () => called('blob-url', 'GET')), (opened) =>
    opened.close(),
  );
  const blobs = new BlobSource({ blobs: blobService, content: contents, cache, urls });
  const heard = hearsTrailers(onBehalfOf, [records.takeFrom, tellEvents]);
  local.add(Diff, diffRpc({ blobs, content: contents, applier, comparer, toControlPlane: heard }));
  local.add(Events, eventsRpc(events, hub, local.stopping));
  local.add(
    Introspection,
    introspectionRpc({
      uuid: identity.uuid,
      node: { snapshotters, opt: config.optDir },
      runtimeInfo: (request) => runtimeInfo({ binaries: tasks.context.binaries, env: runtimeEnv }, request),
    }),
  );
  local.add(Version, versionRpc);
  const processes = new RemoteProcesses({
    tasks,
    stdio,
    containers: containerRecords,
    rootfsOf,
    requireAdmitted: (namespace, id) => membership.requireAdmitted(namespace, id),
  });
  processes.takeUpExecs();
  local.add(
    StdioService,
    stdioRpc({ node: identity.id, processes, readers: logReaders, rootfsOf, stopping: local.stopping }),
  );
  const nodeImages = new NodeImages({
    content: contents,
    blobService,
    claims: createClient(ClaimService, content),
    leases: createClient(Leases, content),
    images: createClient(Images, image),
    blobs,
    unpacker: new Unpacker({ snapshots, applier, blobs }),
    transport: undo.use(new RegistryTransport({ ca: readCaFile(config.registryCa) })),
    // On the content service's own host its files are read in place.
    cache: config.content.startsWith('unix:') ? undefined : cache,
    log,
  });
  const streams = new StreamTable();
  local.add(Transfer, transferRpc({ images: nodeImages, streams, toControlPlane: heard }));
  local.add(Streaming, streamingRpc(streams, local.stopping));
  local.add(ImageService, imageInstallRpc(nodeImages, heard));
  const localAddress = await local.listen(`unix://${config.state}/agent-local.sock`, config);

  const inNamespace = (namespace: string) => ({ headers: { ...headers, [Header.Namespace]: namespace } });
  const files = undo.use(
    new LocalFiles(
      {
        locate: async (namespace, digest) =>
          (await blobs.locate(digest, inNamespace(namespace))).place?.file ?? '',
        doubt: (namespace, digest) => blobs.doubt(digest, inNamespace(namespace)),
      },
      log,
    ),
  );
  const bytes = { blobs: smallBlobs, prefetch, files, log };
  const reads = new Map([
    ...recordReads(records.copy),
    ...blobReads({ ...bytes, copy: records.copy }),
    ...snapshotReads(snapshots, snapshotRecords),
  ]);
  const { lastKnown } = records.copy;
  const lastReads = new Map([
    ...recordReads(lastKnown),
    ...blobReads({ ...bytes, copy: lastKnown }),
    ...snapshotReads(snapshots, snapshotRecords.lastKnown),
  ]);
  const upstream = (address: string, expected = {}) =>
    undo.adopt(new Upstream(address, config, expected), (opened) => opened.close());
  const counted = (name: 'content' | 'image' | 'runtime') =>
    countedOpener(upstream(config[name], to(name)), called);
  const door = nodeDoor({
    nodeId: identity.id,
    revocations,
    upstreams: {
      agent: upstream(localAddress),
      content: counted('content'),
      image: counted('image'),
      runtime: counted('runtime'),
    },
    own: (path) => local.unaryMethod(path),
    reads,
    lastReads,
    tasks: (namespace) => tasks.ids(namespace),
    records,
    onEvents,
    log,
  });
  await door.listen(`unix://${config.socket}`, config);
  const address = await door.listen(config.listen, config);

  sender.start();
  undo.use(sender);
  membership.start(config.advertise || address);
  records.copy.onDeleting(({ namespace, id }) => void membership.deleting.confirm(namespace, id));
  restarts.start();

  const owned = undo.move();
  return {
    addresses: { socket: `unix://${config.socket}`, grpc: address },
    isHealthy: () => local.health.serving,
    async close() {
      membership.close();
      await restarts.close();
      await Promise.all([door.close(config.shutdownTimeoutMs), local.close(config.shutdownTimeoutMs)]);
      await owned.disposeAsync();
    },
  };
}
