import { fork } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { isKind, kindOf, messageOf } from '@longshore/errors';
import { createLogger, createMetrics, GrpcServer, NO_TLS } from '@longshore/kit';
import { createTestDatabase } from '@longshore/postgres/testing';
import { BlobService } from '@longshore/proto/longshore/content/v1/blobs';
import { CertificateService } from '@longshore/proto/longshore/runtime/v1/certificates';
import { NodeAdminService, NodeService, NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { Channel, createClient } from '@longshore/rpc';
import { Revocations, TlsIdentity } from '@longshore/transport';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { waitUntil } from '../harness/wait-until.ts';

const RUNTIME = fileURLToPath(new URL('../../services/runtime/src/main.ts', import.meta.url));
const AGENT = fileURLToPath(new URL('../../services/agent/src/main.ts', import.meta.url));

const { PATH, NODE_COMPILE_CACHE } = process.env;
const scratch = mkdtempSync(join(tmpdir(), 'ls-join-'));

function run(main: string, args: string[], env: NodeJS.ProcessEnv, input = '') {
  const child = fork(main, args, {
    env: { PATH, NODE_COMPILE_CACHE, LONGSHORE_LOG_LEVEL: 'debug', ...env },
    stdio: 'pipe',
    execArgv: [],
  });
  child.stdin?.end(input);
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  return { child, exited, stdout: text(child.stdout!), stderr: text(child.stderr!) };
}

/** A runtime service with an authority of its own, on TCP with TLS. */
async function startRuntime(name: string, more: NodeJS.ProcessEnv = {}) {
  const state = join(scratch, name);
  mkdirSync(state);
  const database = await createTestDatabase();
  const env = {
    DATABASE_URL: database.url,
    LONGSHORE_STATE: state,
    LONGSHORE_ROOT: join(state, 'root'),
    LONGSHORE_RUNTIME_LISTEN: '127.0.0.1:0',
    LONGSHORE_RUNTIME_JOIN_LISTEN: '127.0.0.1:0',
    LONGSHORE_RUNTIME_NODE_ADDRESSES: 'content=127.0.0.1:1,127.0.0.1:2;image=127.0.0.1:3',
    ...more,
  };
  const issued = run(
    RUNTIME,
    ['ca', 'issue', '--identity', 'service/gateway', '--out', join(state, 'gateway')],
    env,
  );
  expect(await issued.exited, await issued.stderr).toBe(0);
  const content = new GrpcServer(createLogger('content', 'silent'), createMetrics('content'));
  content.add(BlobService, { forgetNode: async () => ({}) });
  await content.listen(`unix://${state}/content.sock`, NO_TLS);
  const { child, exited, stdout } = run(RUNTIME, [], env);
  await once(child, 'message');
  const { addresses } = JSON.parse(readFileSync(join(state, 'runtime.json'), 'utf8'));
  const tls = tlsFiles(join(state, 'gateway'), 'gateway');
  const channel = new Channel(addresses.grpc, tls, { expect: 'service/runtime' });
  return {
    addresses: addresses as Record<'grpc' | 'join', string>,
    admin: createClient(NodeAdminService, channel),
    nodes: createClient(NodeService, channel),
    certificates: createClient(CertificateService, channel),
    log: stdout,
    async close() {
      channel.close();
      child.disconnect();
      expect(await exited).toBe(0);
      await content.close(0);
      await database.drop();
    },
  };
}

function tlsFiles(directory: string, name: string) {
  return {
    tlsCert: join(directory, `${name}.crt`),
    tlsKey: join(directory, `${name}.key`),
    tlsCa: join(directory, 'ca.crt'),
  };
}

let runtime: Awaited<ReturnType<typeof startRuntime>>;
let shortLived: ReturnType<typeof startShortLivedAgent>;
const tokens: string[] = [];

beforeAll(async () => {
  runtime = await startRuntime('a');
  shortLived = startShortLivedAgent();
  // Awaited by its own test.
  shortLived.catch(() => undefined);
});

afterAll(async () => {
  await (await shortLived)?.close();
  await runtime?.close();
  rmSync(scratch, { recursive: true });
  const log = await runtime.log;
  for (const token of tokens) expect(log).not.toContain(token.slice(30, 60));
});

async function newToken(request: Parameters<typeof runtime.admin.createJoinToken>[0] = {}) {
  const { token, server } = await runtime.admin.createJoinToken(request);
  expect(server).toBe(runtime.addresses.join);
  tokens.push(token);
  return token;
}

let machines = 0;

/** A machine with a disk of its own. */
function machine(nodeId: string, machineId = `machine-${machines}`) {
  const root = join(scratch, `disk-${machines++}`);
  const env = { LONGSHORE_ROOT: root, LONGSHORE_NODE_ID: nodeId, LONGSHORE_MACHINE_ID: machineId };
  return {
    root,
    env,
    async join(token: string, ...args: string[]) {
      const { exited, stdout, stderr } = run(
        AGENT,
        ['join', '--server', runtime.addresses.join, ...args],
        env,
        `${token}\n`,
      );
      return { code: await exited, output: (await stdout) + (await stderr) };
    },
    /** Calls with the certificate that the machine got. */
    client<S extends Parameters<typeof createClient>[0]>(service: S) {
      const tls = tlsFiles(join(root, 'identity'), 'node');
      const channel = new Channel(runtime.addresses.grpc, tls, { expect: 'service/runtime' });
      onTestFinished(() => channel.close());
      return createClient(service, channel);
    },
    report: { id: nodeId, address: '127.0.0.1:9', machineId, softwareVersion: '0.1.0' },
  };
}

async function refusal(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'no error',
    (error) => `${kindOf(error)}: ${messageOf(error)}`,
  );
}

describe('joining', () => {
  it('takes one line, gives the node a certificate for itself, and makes it ready once it reports', async () => {
    const one = machine('n1');
    const { code, output } = await one.join(await newToken({ nodeId: 'n1', labels: { zone: 'a' } }));
    expect(output).toBe('node "n1": has joined; start its agent\n');
    expect(code).toBe(0);
    expect(statSync(join(one.root, 'identity/node.key')).mode & 0o777).toBe(0o600);
    expect(existsSync(join(one.root, 'joining.key'))).toBe(false);
    expect(JSON.parse(readFileSync(join(one.root, 'identity/control-plane.json'), 'utf8'))).toEqual({
      content: '127.0.0.1:1,127.0.0.1:2',
      image: '127.0.0.1:3',
    });
    const { node } = await runtime.nodes.get({ id: 'n1' });
    expect(node).toMatchObject({ state: NodeState.JOINING, labels: { zone: 'a' }, softwareVersion: '0.1.0' });
    expect(node!.capacity!.memoryBytes).toBeGreaterThan(0n);

    const nodes = one.client(NodeService);
    expect(await refusal(nodes.heartbeat({ id: 'n1' }))).toMatch(/^NotFound: /);
    const { node: ready } = await nodes.register({ node: one.report });
    expect(ready!.state).toBe(NodeState.READY);
    expect(await refusal(nodes.register({ node: { ...one.report, id: 'n2' } }))).toMatch(
      /^PermissionDenied: /,
    );
    expect(await refusal(one.client(NodeAdminService).createJoinToken({}))).toMatch(/^PermissionDenied: /);
  });

  it('tells plainly that a disk has joined, and that a token was used', async () => {
    const one = machine('n2');
    const token = await newToken();
    expect((await one.join(token)).code).toBe(0);
    const again = await one.join(token);
    expect(again.output).toMatch(
      /node "n2": has joined already, with a certificate until .*; start its agent/,
    );
    expect(again.code).toBe(1);
    const other = await machine('n3').join(token);
    expect(other.output).toMatch(/join token: was used already/);
    expect(other.code).toBe(1);
  });

  it('is safe to ask for again when the answer was lost', async () => {
    const one = machine('n4');
    const token = await newToken();
    mkdirSync(one.root, { recursive: true });
    expect((await one.join(token)).code).toBe(0);
    // As if the machine had died before it kept the answer: the key that it made is still there.
    writeFileSync(join(one.root, 'joining.key'), readFileSync(join(one.root, 'identity/node.key')));
    rmSync(join(one.root, 'identity'), { recursive: true });
    expect((await one.join(token)).code).toBe(0);
    // With another key it is somebody else.
    expect((await one.join(token, '--again')).output).toMatch(/join token: was used already/);
  });

  it('takes a live node back, on the same machine, with a token made for it alone', async () => {
    const one = machine('n11');
    expect((await one.join(await newToken())).code).toBe(0);
    const any = await one.join(await newToken(), '--again');
    expect(any.output).toMatch(/node "n11": has joined already; only a token made for it lets it join again/);
    expect(any.code).toBe(1);
    expect((await one.join(await newToken({ nodeId: 'n11' }), '--again')).code).toBe(0);
  });

  it('refuses a token that is expired, deleted, for another node, or none', async () => {
    const expired = await newToken({ ttl: { seconds: 0n, nanos: 1_000_000 } });
    expect((await machine('n5').join(expired)).output).toMatch(/join token: has expired/);
    const { token, id } = await runtime.admin.createJoinToken({});
    await runtime.admin.deleteJoinToken({ id });
    expect((await machine('n5').join(token)).output).toMatch(/join token: is not known/);
    const refused = machine('n5');
    const bound = await refused.join(await newToken({ nodeId: 'n6' }));
    expect(bound.output).toMatch(/join token: is good for another node than "n5"/);
    expect(existsSync(join(refused.root, 'node.json'))).toBe(false);
    expect((await machine('n5').join('lsj1.AAAA')).code).toBe(2);
  });

  it('sends no token to a server of another fleet', async () => {
    const other = await startRuntime('b');
    onTestFinished(() => other.close());
    const { token } = await other.admin.createJoinToken({});
    const { code, output } = await machine('n7').join(token);
    expect(output).toMatch(/is not of the fleet that the token is for; the token was not sent/);
    expect(code).toBe(1);
    expect((await other.admin.listJoinTokens({})).tokens).toMatchObject([{ usedBy: '' }]);
  });

  it('refuses a second machine under a used id, and takes the first one back after its removal', async () => {
    const first = machine('n8');
    expect((await first.join(await newToken())).code).toBe(0);
    const nodes = first.client(NodeService);
    await nodes.register({ node: first.report });
    const second = await machine('n8').join(await newToken());
    expect(second.output).toMatch(/node "n8" on another machine: already exists/);
    const asSecond = runtime.nodes.register({ node: { ...first.report, machineId: 'other' } });
    expect(await refusal(asSecond)).toMatch(/^FailedPrecondition: node "n8": belongs to another machine/);

    expect(await refusal(runtime.admin.remove({ id: 'n8' }))).toMatch(
      /^FailedPrecondition: node "n8": is ready/,
    );
    await runtime.admin.remove({ id: 'n8', force: true });
    // The old certificate is worthless within seconds, on connections that are open too.
    const isRefused = await waitUntil(async () => {
      const error = await nodes.heartbeat({ id: 'n8' }).catch((caught) => caught);
      return isKind(error, 'Unauthenticated', 'Unavailable');
    });
    expect(isRefused).toBe(true);
    expect(await refusal(runtime.nodes.register({ node: first.report }))).toMatch(/node "n8": was removed/);
    expect((await first.join(await newToken(), '--again')).code).toBe(0);
    TlsIdentity.reload(tlsFiles(join(first.root, 'identity'), 'node'));
    const again = first.client(NodeService);
    expect(await refusal(again.heartbeat({ id: 'n8' }))).toMatch(/^NotFound: registration of node "n8"/);
    const { node } = await again.register({ node: first.report });
    expect(node).toMatchObject({ state: NodeState.READY, cordoned: false });
  });

  it('refuses a stolen certificate after its revocation, by serial number', async () => {
    const one = machine('n9');
    expect((await one.join(await newToken())).code).toBe(0);
    const { serialNumber } = new X509Certificate(readFileSync(join(one.root, 'identity/node.crt')));
    const nodes = one.client(NodeService);
    await nodes.register({ node: one.report });
    const revocations = new Revocations();
    await runtime.certificates.revoke({ what: { case: 'serial', value: serialNumber } });
    for await (const { serials } of runtime.certificates.watchRevocations({})) {
      revocations.replace(serials);
      if (revocations.has(serialNumber.toLowerCase())) break;
    }
    const isRefused = await waitUntil(async () => {
      const error = await nodes.heartbeat({ id: 'n9' }).catch((caught) => caught);
      return isKind(error, 'Unauthenticated', 'Unavailable');
    });
    expect(isRefused).toBe(true);
  });
});

/** An agent whose certificate is good for a short while: what takes time goes on during the tests above. */
async function startShortLivedAgent() {
  const fleet = await startRuntime('c', { LONGSHORE_NODE_CERTIFICATE_TTL_MS: '20000' });
  const one = machine('n10');
  const { token } = await fleet.admin.createJoinToken({});
  expect(await one.join(token, '--server', fleet.addresses.join)).toMatchObject({ code: 0 });
  const read = (name: string) => readFileSync(join(one.root, 'identity', name), 'utf8');
  const before = { certificate: read('node.crt'), key: read('node.key') };
  const state = mkdtempSync('/run/ls-join-');
  const { child, exited } = run(AGENT, [], {
    ...one.env,
    LONGSHORE_STATE: state,
    LONGSHORE_AGENT_LISTEN: '127.0.0.1:0',
    LONGSHORE_RUNTIME_ADDRESS: fleet.addresses.grpc,
    LONGSHORE_NODE_LABELS: 'zone=a,gpu=1',
    LONGSHORE_CGROUP_PARENT: `/${basename(state)}`,
  });
  await once(child, 'message');
  const startMs = performance.now();
  const stateOf = async () => (await fleet.nodes.get({ id: 'n10' })).node;
  const isReady = async () => (await stateOf())?.state === NodeState.READY;
  const readyMs = waitUntil(isReady).then((ready) => (ready ? performance.now() - startMs : undefined));
  return {
    read,
    before,
    stateOf,
    readyMs,
    async close() {
      await readyMs;
      child.disconnect();
      const code = await exited;
      await fleet.close();
      rmSync(state, { recursive: true });
      expect(code).toBe(0);
    },
  };
}

describe('an agent that has joined', () => {
  it('is ready within 5 s of its start, and renews its certificate in time, with a new key', async () => {
    const { read, before, stateOf, readyMs } = await shortLived;
    expect(await readyMs).toBeLessThan(5_000);
    expect(await stateOf()).toMatchObject({
      labels: { zone: 'a', gpu: '1' },
      address: expect.stringMatching(/^127\.0\.0\.1:[1-9]/),
      snapshotters: ['overlayfs', 'native'],
      runtimes: expect.arrayContaining(['io.containerd.runc.v2']),
    });
    expect(await waitUntil(() => read('node.crt') !== before.certificate, 30_000)).toBe(true);
    expect(read('node.key')).not.toBe(before.key);
    expect(new X509Certificate(read('node.crt')).checkPrivateKey(createPrivateKey(read('node.key')))).toBe(
      true,
    );
  });
});
