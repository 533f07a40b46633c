import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isKind, kindOf, messageOf } from '@longshore/errors';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Health } from '@longshore/proto/grpc/health/v1/health';
import { Header } from '@longshore/proto/headers';
import { SpoolService } from '@longshore/proto/longshore/events/v1/spool';
import { CertificateService } from '@longshore/proto/longshore/runtime/v1/certificates';
import { NodeAdminService, NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { Channel, createClient } from '@longshore/rpc';
import type { TlsFiles } from '@longshore/transport';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Fleet } from '../../harness/fleet.ts';
import { processesOf, readProc } from '../../harness/leftovers.ts';
import { storedEvents } from '../../harness/stored-events.ts';
import { waitUntil } from '../../harness/wait-until.ts';

const CALLED_BY_NODES = ['content', 'image', 'snapshot', 'runtime', 'events'];
const REVOKED_WITHIN_MS = 60_000;

const inScope = (node: string) => ({ headers: { [Header.Namespace]: 'default', [Header.Node]: node } });

function outcomeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'OK',
    (error) => `${kindOf(error)}: ${messageOf(error)}`,
  );
}

/** Last of all: `n2`'s certificate is stolen and revoked, which the node itself does not survive. */
export function securityFaults(theFleet: () => Fleet, image: () => string): void {
  const open = (door: string, tls: TlsFiles, expected: string) => {
    const channel = new Channel(theFleet().local.outside.address(door), tls, { expect: expected });
    onTestFinished(() => channel.close());
    return channel;
  };
  const controlTls = () => theFleet().local.authority.service('gateway');

  /** Files as somebody has copied them from the node. */
  function stolenFrom(id: string): TlsFiles {
    const node = theFleet().node(id);
    const directory = mkdtempSync(join(tmpdir(), 'ls-stolen-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const take = (name: string) => {
      copyFileSync(node.path(join(node.root, 'identity', name)), join(directory, name));
      return join(directory, name);
    };
    return { tlsCert: take('node.crt'), tlsKey: take('node.key'), tlsCa: take('ca.crt') };
  }

  describe('secrets', () => {
    it('are in no log, argument, environment or event', async () => {
      const fleet = theFleet();
      const admin = createClient(NodeAdminService, open('runtime-1', controlTls(), 'service/runtime'));
      const { token } = await admin.createJoinToken({});
      await fleet.node('n1').ctr.ok(['run', '-d', image(), 'looked-at', 'sleep', '1000']);
      const secrets = secretsOf(fleet);
      expect(secrets.size).toBeGreaterThan(8);
      secrets.set('the join token', token.slice(20, 60)).set('some join token', 'lsj1.');
      secrets.set('a signed URL', 'signature=');

      const places = new Map<string, string>();
      for (const name of readdirSync(fleet.local.layout.logDir)) {
        places.set(`log ${name}`, readFileSync(join(fleet.local.layout.logDir, name), 'utf8'));
      }
      const pids = [fleet.state, fleet.root].flatMap(processesOf).map((line) => /\d+/.exec(line)![0]);
      for (const pid of new Set(pids)) {
        for (const file of ['cmdline', 'environ']) {
          places.set(
            `${file} of ${readProc(`/proc/${pid}/comm`).trim()} ${pid}`,
            readProc(`/proc/${pid}/${file}`),
          );
        }
      }
      places.set('events', (await storedEvents(fleet)).map(({ text }) => text).join('\n'));
      expect(places.size).toBeGreaterThan(40);
      const found = [...places].flatMap(([place, text]) =>
        [...secrets].flatMap(([what, secret]) => (text.includes(secret) ? [`${what} in ${place}`] : [])),
      );
      expect(found).toEqual([]);
      await fleet.node('n1').ctr.ok(['task', 'rm', '-f', 'looked-at']);
      await fleet.node('n1').ctr.ok(['container', 'rm', 'looked-at']);
    });
  });

  describe('an agent', () => {
    it('takes commands from services only', async () => {
      const fleet = theFleet();
      const user = await fleet.local.authority.user('mallory', fleet.databaseUrl);
      const list = (tls: TlsFiles) =>
        outcomeOf(createClient(Tasks, open('agent-n1', tls, 'node/n1')).list({}, inScope('n1')));
      expect(await list(controlTls())).toBe('OK');
      expect(await list(user)).toMatch(/^PermissionDenied: .*user\/mallory/);
      expect(await list(stolenFrom('n2'))).toMatch(/^PermissionDenied: .*node\/n2/);
    });
  });

  describe('a stolen certificate of a node', () => {
    it('is good for that node alone, and for nothing soon after it was revoked', async () => {
      const tls = stolenFrom('n2');
      const events = createClient(SpoolService, open('events-1', tls, 'service/events'));
      const runtime = open('runtime-1', tls, 'service/runtime');
      const containers = createClient(Containers, runtime);
      expect(await outcomeOf(containers.list({}, inScope('n2')))).toBe('OK');
      expect(await outcomeOf(containers.list({}, inScope('n1')))).toMatch(
        /^PermissionDenied: .*"n1".*node\/n2/,
      );
      expect(await outcomeOf(containers.list({}, inScope('_')))).toMatch(/^PermissionDenied: /);
      expect(await outcomeOf(events.append({ events: [] }, inScope('n1')))).toMatch(
        /^PermissionDenied: .*"n1"/,
      );
      const forbidden = [
        createClient(NodeAdminService, runtime).createJoinToken({}),
        createClient(NodeAdminService, runtime).remove({ id: 'n1', force: true }),
        createClient(NodeService, runtime).list({}),
        createClient(CertificateService, runtime).issue({ identity: 'service/content' }),
        createClient(CertificateService, runtime).revoke({ what: { case: 'identity', value: 'node/n1' } }),
        createClient(Containers, open('gateway-1', tls, 'service/gateway')).list({}, inScope('n2')),
      ];
      for (const outcome of await Promise.all(forbidden.map(outcomeOf))) {
        expect(outcome).toMatch(/^PermissionDenied: /);
      }

      const doors = CALLED_BY_NODES.flatMap((service) =>
        theFleet().local.layout.replicas.map((replica) => {
          const channel = open(`${service}-${replica}`, tls, `service/${service}`);
          return { name: `${service}-${replica}`, health: createClient(Health, channel) };
        }),
      );
      for (const { health } of doors) expect(await outcomeOf(health.check({}))).toBe('OK');
      const control = createClient(CertificateService, open('runtime-2', controlTls(), 'service/runtime'));
      await control.revoke({ what: { case: 'identity', value: 'node/n2' } });
      const startMs = performance.now();
      const refused = async (call: Promise<unknown>) =>
        isKind(await call.catch((error) => error), 'Unauthenticated', 'Unavailable');
      const stillOpen = await Promise.all(
        doors.map(async ({ name, health }) => {
          const isRefused = await waitUntil(() => refused(health.check({})), REVOKED_WITHIN_MS);
          return isRefused ? [] : [name];
        }),
      );
      expect(stillOpen.flat()).toEqual([]);
      console.log(`revoked: refused everywhere within ${Math.round(performance.now() - startMs)} ms`);
      expect(performance.now() - startMs).toBeLessThan(REVOKED_WITHIN_MS);
      // New connections are refused as those that were open.
      const anew = createClient(Containers, open('runtime-1', tls, 'service/runtime'));
      expect(await refused(anew.list({}, inScope('n2')))).toBe(true);
      const { code, stderr } = await theFleet().node('n2').ctr.run(['namespaces', 'create', 'refused']);
      expect({ code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/service \\?"content/),
      });
      await theFleet().node('n1').ctr.ok(['run', '--rm', image(), 'unaware', 'true']);
    }, 120_000);
  });
}

/** What must not be seen, by what it is. */
function secretsOf(fleet: Fleet): Map<string, string> {
  const { controlRoot, authorityDir, identityDir } = fleet.local.layout;
  const secrets = new Map([
    ['the password of NATS', fleet.local.stores.nats.password],
    ["the operator's token", readFileSync(join(controlRoot, 'gateway.token'), 'utf8').trim()],
  ]);
  const keys = [
    join(authorityDir, 'ca.key'),
    ...readdirSync(join(identityDir, 'service'))
      .filter((name) => name.endsWith('.key'))
      .map((name) => join(identityDir, 'service', name)),
    ...fleet.nodes.map((node) => node.path(join(node.root, 'identity/node.key'))),
  ];
  for (const path of keys) {
    const [, firstLine = ''] = readFileSync(path, 'utf8').split('\n');
    secrets.set(`the key ${path}`, firstLine);
  }
  return secrets;
}
