import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type CephTools, cephTools } from './ceph-tools.ts';
import { type EndingStep, ManagedProcess } from './managed-process.ts';
import { makeBucket, type S3Bucket } from './s3-request.ts';
import { until } from './until.ts';

const READY_TIMEOUT_MS = 60_000;
/** Somebody else may take a free port between our looking and Ceph's listening. */
const ATTEMPTS = 3;
/** All is in memory: there is nothing to write down, and SIGKILL is as good as anything. */
const ENDING: readonly EndingStep[] = [];
const MAX_BYTES = 16 * 1024 ** 3;

const run = promisify(execFile);

/** A private S3 server with one bucket. */
export interface S3Server extends S3Bucket, AsyncDisposable {
  readonly processes: readonly ManagedProcess[];
  close(): Promise<void>;
}

/**
 * Starts Ceph's S3 server on loopback ports, with a monitor and one object store, which keeps its objects in memory.
 * `dir` is for it alone, and is emptied. Resolves, usually after some 5 s, when a bucket is there. For tests.
 */
export async function startRadosgw(dir: string): Promise<S3Server> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(dir);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

async function start(dir: string): Promise<S3Server> {
  const tools = await cephTools();
  const [monitor, port] = await freePorts(2);
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const cluster = { dir, tools, fsid: randomUUID(), monitor: monitor!, port: port! };
  const processes: ManagedProcess[] = [];
  const close = async () => {
    await Promise.all(processes.map((process) => process.close()));
    await rm(dir, { recursive: true, force: true });
  };
  const launch = (name: string, args: string[]) => {
    const process = new ManagedProcess(
      {
        name,
        command: tools.path(name),
        args: ['-c', join(dir, 'ceph.conf'), ...args, '-f'],
        env: tools.env,
        logPath: join(dir, `${name}.log`),
      },
      ENDING,
    );
    processes.push(process);
    return process;
  };
  try {
    await prepare(cluster);
    const [mon, osd] = [launch('ceph-mon', ['-i', 'a']), launch('ceph-osd', ['-i', '0'])];
    const gateway = launch('radosgw', ['-n', 'client.rgw']);
    const endpoint = `http://127.0.0.1:${port}`;
    const ready = gateway.whenReady((signal) => answers(endpoint, signal), READY_TIMEOUT_MS);
    await Promise.all([ready, ...[mon, osd].map((other) => other.whenReady(() => ready, READY_TIMEOUT_MS))]);
    const server = {
      endpoint,
      region: 'us-east-1',
      bucket: 'longshore-test',
      ...(await makeUser(cluster)),
    };
    await makeBucket(server);
    return { ...server, processes, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Cluster {
  dir: string;
  tools: CephTools;
  fsid: string;
  monitor: number;
  port: number;
}

/** What makes a cluster: its configuration, everyone's keys, the monitor's database, the object store. */
async function prepare(cluster: Cluster): Promise<void> {
  const { dir, tools, fsid, monitor } = cluster;
  const call = (program: string, args: string[]) =>
    run(tools.path(program), args, { cwd: dir, env: tools.env });
  await Promise.all(['mon', 'osd'].map((name) => mkdir(join(dir, name))));
  await writeFile(join(dir, 'ceph.conf'), configuration(cluster));
  // An object store whose key the monitor knows from the start needs no further introduction.
  const keys: [string, ...string[]][] = [
    ['mon.', 'mon', 'allow *'],
    ['client.admin', 'mon', 'allow *', 'osd', 'allow *'],
    ['osd.0', 'mon', 'allow profile osd', 'osd', 'allow *'],
    ['client.rgw', 'mon', 'allow rw', 'osd', 'allow rwx'],
  ];
  await writeFile(join(dir, 'keyring'), keys.map(keyringEntry).join(''), { mode: 0o600 });
  await call('monmaptool', [
    '--create',
    '--fsid',
    fsid,
    '--addv',
    'a',
    `[v2:127.0.0.1:${monitor}]`,
    'monmap',
  ]);
  const conf = ['-c', 'ceph.conf', '--no-mon-config', '--mkfs'];
  await Promise.all([
    call('ceph-mon', [...conf, '-i', 'a', '--monmap', 'monmap', '--keyring', 'keyring']),
    call('ceph-osd', [...conf, '-i', '0', '--osd-uuid', randomUUID()]),
  ]);
}

/** Source: Ceph, src/auth/Crypto.h: type 1 (AES), the time in seconds and nanoseconds, the length, the secret. */
function keyringEntry([name, ...caps]: [string, ...string[]]): string {
  const header = Buffer.alloc(12);
  header.writeUInt16LE(1, 0);
  header.writeUInt32LE(Math.floor(Date.now() / 1000), 2);
  header.writeUInt16LE(16, 10);
  const lines = [`[${name}]`, `key = ${Buffer.concat([header, randomBytes(16)]).toString('base64')}`];
  for (let at = 0; at < caps.length; at += 2) lines.push(`caps ${caps[at]} = "${caps[at + 1]}"`);
  return `${lines.join('\n')}\n`;
}

function configuration({ dir, tools, fsid, monitor, port }: Cluster): string {
  return `[global]
fsid = ${fsid}
mon host = [v2:127.0.0.1:${monitor}]
ms bind msgr1 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = ${dir}/keyring
run dir = ${dir}
admin socket =
crash dir = ${dir}/crash
plugin dir = ${tools.libraries}/ceph
erasure code dir = ${tools.libraries}/ceph/erasure-code
osd class dir = ${tools.libraries}/rados-classes
log to file = false
mon cluster log to file = false
# A monitor gathers changes for a second, which each of the gateway's pools would wait for.
paxos propose interval = 0.02
paxos min wait = 0.01
mon allow pool size one = true
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = ${MAX_BYTES}
# Deleted bytes leave the memory soon.
rgw gc obj min wait = 1
rgw gc processor period = 5
rgw run sync thread = false
[mon]
mon data = ${dir}/mon
mon initial members = a
[osd]
osd data = ${dir}/osd
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${port}
`;
}

async function makeUser({ dir, tools }: Cluster): Promise<Pick<S3Bucket, 'accessKey' | 'secretKey'>> {
  const args = ['-c', join(dir, 'ceph.conf'), '-n', 'client.rgw', 'user', 'create', '--uid=longshore'];
  const { stdout } = await run(tools.path('radosgw-admin'), [...args, '--display-name=longshore'], {
    env: tools.env,
  });
  const { keys } = JSON.parse(stdout);
  return { accessKey: keys[0].access_key, secretKey: keys[0].secret_key };
}

async function answers(endpoint: string, signal: AbortSignal): Promise<void> {
  await until(async () => {
    const isUp = await fetch(endpoint).then(
      ({ ok }) => ok,
      () => false,
    );
    return isUp || signal.aborted;
  }, READY_TIMEOUT_MS);
}

/** Ports that nobody listens on now. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ports.push((server.address() as AddressInfo).port);
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
