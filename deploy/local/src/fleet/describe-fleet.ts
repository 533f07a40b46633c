import { join } from 'node:path';
import { quote } from '../ctr.ts';
import type { Fleet } from './fleet.ts';

/** Where things are, and lines to paste into a shell of root's. */
export function describeFleet(fleet: Fleet, image: string, ctr: string): string {
  const { layout, nodes, outside, stores } = fleet;
  const line = (what: string, where: string) => `  ${what.padEnd(16)} ${where}`;
  const [first] = nodes;
  const token = join(layout.controlRoot, 'gateway.token');
  const http = outside.address('http-1');
  return [
    '',
    'The fleet is up. Its nodes, each a containerd to its clients:',
    ...nodes.map((node) => `  ${ctr} --address ${quote(node.layout.socket)}`),
    'The same from within a node, where the registry can be reached:',
    ...nodes.map((node) => `  ${quote(node.clientPath)}`),
    '',
    'Where things are:',
    ...layout.replicas.map((replica) =>
      line(
        `gateway ${replica}`,
        `http://${outside.address(`http-${replica}`)}, gRPC with TLS on ${outside.address(`gateway-${replica}`)}`,
      ),
    ),
    line('admin token', token),
    line('Postgres', stores.postgres.url),
    line(
      'NATS',
      `nats://${outside.address('nats')}  user ${stores.nats.user}, password in ${stores.nats.passwordFile}`,
    ),
    line('registry', `${fleet.registry.host} for nodes, ${outside.address('registry')} from here`),
    line('logs', layout.logDir),
    line('data', layout.root),
    '',
    'What to try next (in another terminal, as root):',
    `  curl -sH "Authorization: Bearer $(cat ${quote(token)})" http://${http}/v1/nodes`,
    `  curl -sH "Authorization: Bearer $(cat ${quote(token)})" --json '{"subject": "user/me", "namespace": "*", "role": "admin"}' http://${http}/v1/bindings`,
    ...(first === undefined ? [] : nodeSuggestions(first, image)),
    '',
    'Ctrl-C ends everything, containers included.',
    '',
  ].join('\n');
}

function nodeSuggestions(node: Fleet['nodes'][number], image: string): string[] {
  return [
    `  ${quote(node.clientPath)} image pull --plain-http ${image}`,
    `  ${quote(node.clientPath)} run --rm ${image} hello hostname`,
    `  ${node.link.cutCommand('down')}   # cuts ${node.id} off; "up" heals it`,
  ];
}
