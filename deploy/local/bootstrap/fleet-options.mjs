import { parseArgs } from 'node:util';

/** The options of `npm run fleet`, read twice as those of `npm start` are. */
const OPTIONS = {
  nodes: { type: 'string', short: 'n', default: '2' },
  replicas: { type: 'string', short: 'r', default: '2' },
  delay: { type: 'string', short: 'd' },
  root: { type: 'string', default: '/var/lib/longshore-fleet' },
  state: { type: 'string', default: '/run/longshore-fleet' },
  help: { type: 'boolean', short: 'h', default: false },
};

export const FLEET_HELP = `Makes a fleet on this machine and stays up: a control plane, and nodes that join it, each as if on a host of its own.

Usage: npm run fleet -- [options]

  -n, --nodes N      Nodes, called n1, n2, …. Default: 2.
  -r, --replicas N   Processes of each service of the control plane. Default: 2.
  -d, --delay MS     Hold back what goes between a node and the control plane for so long, each way. Default: not at all.
      --root DIR     Durable state: metadata, blobs, the nodes' disks. Default: /var/lib/longshore-fleet.
      --state DIR    Run-time files: sockets, logs, process ids. Default: /run/longshore-fleet.
  -h, --help         This text.

Nodes and control plane have network namespaces of their own, with links that nobody else sees, and talk over TCP with
TLS on both ends. Each node sees of the fleet's directories only its own. Ctrl-C ends everything, containers included.
The state is durable: the next start with the same --root finds the nodes joined and the images there.

Needs Debian or the like, as root. The first start gets what is missing from npm and from Debian; that takes minutes.
`;

/** @param {string[]} argv */
export function parseFleetOptions(argv) {
  const { values } = parseArgs({ args: argv, options: OPTIONS });
  return {
    help: values.help,
    nodes: whole('--nodes', values.nodes, 1, 99),
    replicas: whole('--replicas', values.replicas, 1, 8),
    delayMs: values.delay === undefined ? undefined : whole('--delay', values.delay, 0, 10_000),
    root: values.root,
    state: values.state,
  };
}

function whole(name, text, least, most) {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new Error(`${name} "${text}": want a whole number from ${least} to ${most}`);
}
