import {
  AnyText,
  type ConfigKey,
  commonKeys,
  Flag,
  key,
  peerKey,
  Text,
  tableOr,
  Whole,
  wholeFrom,
} from '@longshore/kit';
import * as v from 'valibot';
import type { StreamProcessor } from './diff/apply.ts';
import { StreamProcessors } from './diff/processors/processor-config.ts';
import { IdentityFiles } from './node/identity-files.ts';
import type { ProxyPlugin } from './snapshots/proxy/proxy-plugin.ts';
import { MIN_FILE_BYTES } from './stdio/log-limits.ts';

const { tlsCert, tlsKey, tlsCa, ...common } = commonKeys('agent');

/** `zone=a,gpu=`: a table in the file. */
const Pairs = tableOr(
  v.pipe(
    AnyText,
    v.regex(/^(\s*[^=,\s]+=[^,]*(,|$))*$/, 'want key=value,key=value'),
    v.transform((text): Record<string, string> => Object.fromEntries(text.split(',').flatMap(splitPair))),
  ),
);

function splitPair(pair: string): [name: string, value: string][] {
  const at = pair.indexOf('=');
  return at < 0 ? [] : [[pair.slice(0, at).trim(), pair.slice(at + 1).trim()]];
}

/** Of a socket of this machine; containerd's tables have the path alone. */
const UnixAddress = v.pipe(
  AnyText,
  v.regex(/^(unix:\/\/)?\//, 'must be the path of a socket'),
  v.transform((text) => (text.startsWith('/') ? `unix://${text}` : text)),
);

const ProxyTable = v.strictObject({
  type: v.optional(v.literal('snapshot', 'must be snapshot')),
  address: UnixAddress,
  capabilities: v.optional(v.array(AnyText), []),
  exports: v.optional(v.record(AnyText, AnyText), {}),
});

/** `stargz=/run/a.sock,soci=/run/b.sock`: a table of tables in the file, as containerd's `proxy_plugins`. */
const ProxySnapshotters = v.pipe(
  v.unknown(),
  v.transform((raw) => (typeof raw === 'string' ? tablesFrom(raw) : raw)),
  v.record(
    v.pipe(
      AnyText,
      v.regex(/^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$/, 'is no name'),
      v.notValue('overlayfs'),
      v.notValue('native'),
    ),
    ProxyTable,
    'must be a table',
  ),
  v.transform((tables): ProxyPlugin[] =>
    Object.entries(tables).map(([name, { address, capabilities, exports }]) => ({
      name,
      address,
      capabilities,
      exports,
    })),
  ),
);

function tablesFrom(text: string): Record<string, { address: string }> {
  const pairs = text.split(',').filter((pair) => pair.trim() !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const [name = '', ...address] = pair.split('=');
      return [name.trim(), { address: address.join('=').trim() }];
    }),
  );
}

const RootedPath = v.pipe(AnyText, v.regex(/^\//, 'must begin with "/"'));

/** A node that has joined shows the certificate that it got. */
function identityKey(definition: ConfigKey<string>, file: 'tlsCert' | 'tlsKey' | 'tlsCa'): ConfigKey<string> {
  const joined = (earlier: Record<string, unknown>) => {
    const files = new IdentityFiles(String(earlier.root));
    return files.certificate() ? files.tlsFiles[file] : '';
  };
  return { ...definition, default: joined, defaultText: 'what joining left in $LONGSHORE_ROOT/identity' };
}

/** A node that has joined was told where the control plane is. */
function controlPlaneKey(service: string): ConfigKey<string> {
  const definition = peerKey(service);
  const told = (earlier: Record<string, unknown>) =>
    new IdentityFiles(String(earlier.root)).addresses()[service] ?? `unix://${earlier.state}/${service}.sock`;
  const defaultText = `what joining was told; else ${definition.defaultText}`;
  return { ...definition, default: told, defaultText };
}

export const keys = {
  ...common,
  tlsCert: identityKey(tlsCert, 'tlsCert'),
  tlsKey: identityKey(tlsKey, 'tlsKey'),
  tlsCa: identityKey(tlsCa, 'tlsCa'),
  socket: key({
    env: 'LONGSHORE_SOCKET',
    schema: Text,
    default: (earlier) => `${earlier.state}/longshore.sock`,
    defaultText: '$LONGSHORE_STATE/longshore.sock',
    unit: 'path',
    meaning:
      "The node socket: containerd's API for this host's tools, for root only. Shims report to <socket>.ttrpc.",
  }),
  nodeId: key({
    env: 'LONGSHORE_NODE_ID',
    schema: AnyText,
    default: '',
    defaultText: 'the host name, kept from the first start on',
    meaning: 'Names this node in the fleet. It must never change: all records of the node carry it.',
  }),
  machineId: key({
    env: 'LONGSHORE_MACHINE_ID',
    schema: AnyText,
    default: '',
    defaultText: '/etc/machine-id; without one, a random name on the disk',
    meaning: 'Tells this machine from others: another one cannot take the node id.',
  }),
  labels: key<Record<string, string>>({
    env: 'LONGSHORE_NODE_LABELS',
    schema: Pairs,
    default: {},
    defaultText: 'none',
    meaning:
      'What this node says of itself to those who choose nodes: key=value,key=value. Labels of operators win.',
  }),
  advertise: key({
    env: 'LONGSHORE_AGENT_ADVERTISE',
    schema: AnyText,
    default: '',
    defaultText: 'what LONGSHORE_AGENT_LISTEN listens on',
    unit: 'address',
    meaning: 'Where the control plane reaches this agent.',
  }),
  cgroupParent: key({
    env: 'LONGSHORE_CGROUP_PARENT',
    schema: RootedPath,
    default: '/longshore',
    unit: 'cgroup path',
    meaning: "Parent of the containers' cgroups, so that several runtimes on one machine do not share them.",
  }),
  optDir: key({
    env: 'LONGSHORE_OPT_DIR',
    schema: RootedPath,
    default: (earlier) => `${earlier.root}/opt`,
    defaultText: '$LONGSHORE_ROOT/opt',
    unit: 'path',
    meaning:
      'Where `ctr install` puts runtimes: shims find programs in its bin, and libraries in its lib, first.',
  }),
  shimEnv: key<Record<string, string>>({
    env: 'LONGSHORE_SHIM_ENV',
    schema: Pairs,
    default: {},
    defaultText: 'none',
    meaning: 'Added to the environment of shims, over all else: key=value,key=value; e.g. SCHED_CORE=1.',
  }),
  heartbeatMs: key({
    env: 'LONGSHORE_HEARTBEAT_MS',
    schema: wholeFrom(100),
    default: 10_000,
    unit: 'ms',
    meaning: 'How often this node tells the control plane that it is alive.',
  }),
  spoolCheckMs: key({
    env: 'LONGSHORE_SPOOL_CHECK_MS',
    schema: Whole,
    default: 30_000,
    unit: 'ms',
    meaning: 'How often this node asks whether the event stream has lost events that it sent.',
  }),
  blobCacheBytes: key({
    env: 'LONGSHORE_BLOB_CACHE_BYTES',
    schema: Whole,
    default: 1024 ** 3,
    unit: 'bytes',
    meaning:
      'Most that this node keeps of blobs that it has read from elsewhere, under $LONGSHORE_ROOT/blob-cache.',
  }),
  streamProcessors: key<Readonly<Record<string, Omit<StreamProcessor, 'id'>>>>({
    env: 'LONGSHORE_STREAM_PROCESSORS',
    schema: StreamProcessors,
    default: {},
    defaultText: 'none',
    meaning:
      'Programs that turn layers of one media type into another, e.g. decrypt them: tables in the file as in containerd\'s stream_processors, {"ID": {"accepts": […], "returns": "…", "path": "…", "args": […], "env": […]}}.',
  }),
  restartIntervalMs: key({
    env: 'LONGSHORE_RESTART_INTERVAL_MS',
    schema: wholeFrom(10),
    default: 10_000,
    unit: 'ms',
    meaning:
      'How often all containers with containerd.io/restart.* labels are looked at, and the delay before the second restart of one, which then doubles.',
  }),
  restartMaxBackoffMs: key({
    env: 'LONGSHORE_RESTART_MAX_BACKOFF_MS',
    schema: wholeFrom(10),
    default: 300_000,
    unit: 'ms',
    meaning: 'Longest delay before a container that ends again and again is restarted.',
  }),
  containerMetrics: key({
    env: 'LONGSHORE_CONTAINER_METRICS',
    schema: Flag,
    default: true,
    meaning:
      "Whether /metrics has the containers' own series (container_*), which asks every shim at each scrape.",
  }),
  logFileBytes: key({
    env: 'LONGSHORE_LOG_FILE_BYTES',
    schema: wholeFrom(MIN_FILE_BYTES),
    default: 10 * 1024 ** 2,
    unit: 'bytes',
    meaning: "Most that one file of a container's kept output takes, under $LONGSHORE_ROOT/logs.",
  }),
  logFiles: key({
    env: 'LONGSHORE_LOG_FILES',
    schema: wholeFrom(1),
    default: 5,
    meaning: "How many files of a container's kept output there are; the oldest goes first.",
  }),
  proxySnapshotters: key<readonly ProxyPlugin[]>({
    env: 'LONGSHORE_PROXY_SNAPSHOTTERS',
    schema: ProxySnapshotters,
    default: [],
    defaultText: 'none',
    meaning:
      "Snapshotters that other processes of this host serve: name=/path/of/socket,…. In the file, a table of tables with address, capabilities and exports, as containerd's proxy_plugins.",
  }),
  registryCa: key({
    env: 'LONGSHORE_REGISTRY_CA',
    schema: AnyText,
    default: '',
    unit: 'path',
    meaning: 'Certificate authorities in PEM that registries may show, beside those that are known anyway.',
  }),
  content: controlPlaneKey('content'),
  image: controlPlaneKey('image'),
  snapshot: controlPlaneKey('snapshot'),
  runtime: controlPlaneKey('runtime'),
  events: controlPlaneKey('events'),
};
