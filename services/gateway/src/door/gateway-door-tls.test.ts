import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { Channel, createClient } from '@longshore/rpc';
import { NO_TLS, type TlsFiles } from '@longshore/transport';
import { scratchDirectory, serialOfFile, TestAuthority } from '@longshore/transport/testing';
import { expect, it, onTestFinished } from 'vitest';
import { GatewayFixture } from '../testing/gateway-fixture.ts';
import { refusal } from '../testing/refusal.ts';
import { StandIn } from '../testing/stand-in.ts';

const SCOPE = { headers: { 'containerd-namespace': 'ns' } };
const onNode = (node: string) => ({ headers: { ...SCOPE.headers, 'longshore-node': node } });

async function startOnTcp(env: NodeJS.ProcessEnv = {}) {
  const authority = new TestAuthority();
  const { tlsCert, tlsKey, tlsCa } = authority.issue('service/gateway');
  const gateway = await GatewayFixture.start({
    LONGSHORE_GATEWAY_LISTEN: '127.0.0.1:0',
    LONGSHORE_TLS_CERT: tlsCert,
    LONGSHORE_TLS_KEY: tlsKey,
    LONGSHORE_TLS_CA: tlsCa,
    ...env,
  });
  onTestFinished(() => gateway.close());
  return { gateway, authority };
}

function connect(gateway: GatewayFixture, tls: TlsFiles): Channel {
  const channel = new Channel(gateway.grpc, tls);
  onTestFinished(() => channel.close());
  return channel;
}

it('is for users and services, not for nodes, and not for the revoked', async () => {
  const { gateway, authority } = await startOnTcp();
  const images = (tls: TlsFiles) => createClient(Images, connect(gateway, tls));
  await gateway.bind('service/builder', 'viewer', 'ns');
  await gateway.bind('user/alice');
  expect((await images(authority.issue('service/builder')).list({}, SCOPE)).images).toHaveLength(1);
  expect(await refusal(images(authority.issue('node/n1')).list({}, SCOPE))).toBe(
    'PermissionDenied: node/n1 may not call here: permission denied',
  );
  expect(
    await refusal(images(new TestAuthority(scratchDirectory()).issue('user/eve')).list({}, SCOPE)),
  ).toMatch(/^Unavailable/);
  expect(() => images(NO_TLS)).toThrow(/TCP needs TLS/);

  const alice = authority.issue('user/alice');
  const hers = images(alice);
  expect((await hers.list({}, SCOPE)).images).toHaveLength(1);
  gateway.backends.runtime.registry.revocations.replace([serialOfFile(alice)]);
  await expect.poll(() => refusal(hers.list({}, SCOPE)), { timeout: 10_000 }).toMatch(/^Una/);
});

it('reaches an agent only when that shows the certificate of its node', async () => {
  const { gateway, authority } = await startOnTcp();
  const agents = { n1: new StandIn('one'), n2: new StandIn('two') };
  onTestFinished(async () => {
    await Promise.all(Object.values(agents).map((agent) => agent.close()));
  });
  await gateway.bind('user/alice');
  const { nodes } = gateway.backends.runtime.registry;
  nodes.set('n1', await agents.n1.listen('127.0.0.1:0', authority.issue('node/n1')));
  nodes.set('n2', await agents.n2.listen('127.0.0.1:0', authority.issue('node/n9')));
  const images = createClient(Images, connect(gateway, authority.issue('user/alice')));
  expect((await images.list({}, onNode('n1'))).images).toMatchObject([{ name: 'of one' }]);
  expect(await refusal(images.list({}, onNode('n2')))).toMatch(
    /^Unavailable: node "n2": .*for node\/n9, not for node\/n2/,
  );
  expect(agents.n2.seen).toEqual([]);
});

it('takes all transfers of one connection to one replica', async () => {
  const directory = scratchDirectory();
  const replicas = [new StandIn('a'), new StandIn('b')];
  onTestFinished(async () => {
    await Promise.all(replicas.map((replica) => replica.close()));
  });
  const addresses = replicas.map((_, index) => `unix://${directory}/${index}.sock`);
  await Promise.all(replicas.map((replica, index) => replica.listen(addresses[index]!)));
  const { gateway, authority } = await startOnTcp({ LONGSHORE_IMAGE_ADDRESS: addresses.join(',') });
  await gateway.bind('user/alice');
  const counts = () => replicas.map(({ seen }) => seen.splice(0).length).sort();
  const alice = authority.issue('user/alice');
  for (let connection = 0; connection < 4; connection++) {
    const channel = connect(gateway, alice);
    for (let call = 0; call < 5; call++) await createClient(Transfer, channel).transfer({}, SCOPE);
    expect(counts()).toEqual([0, 5]);
    for (let call = 0; call < 4; call++) await createClient(Images, channel).list({}, SCOPE);
    expect(counts()).toEqual([2, 2]);
  }
});
