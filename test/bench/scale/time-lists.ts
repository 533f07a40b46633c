import { loadavg } from 'node:os';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Header } from '@longshore/proto/headers';
import { ContainerService } from '@longshore/proto/longshore/runtime/v1/containers';
import { Channel, createClient } from '@longshore/rpc';
import { APPS, imageOf, labelOf } from './container-record.ts';
import type { ControlPlane } from './control-plane.ts';
import { createContainers } from './create-containers.ts';
import { formatLatency, latencyOf, WARM_UP_CALLS } from './latency.ts';
import { usageOf } from './usage.ts';

const APP = 7;
const BY_LABEL = [`labels.app==${labelOf(APP)}`];
const BY_IMAGE = [`image==${imageOf(APP)}`];

const REAL_NODE = 'real';
/** How many containers the one real node has, in turn. */
const REAL_NODE_CONTAINERS = [20, 200, 1000];
/** Beyond the numbers of the simulated nodes' containers; of the app 0. */
const REAL_NODE_FIRST = 1_000_000 * APPS;

/** Lists with a filter: at the fleet's edge over all nodes, of one node there, and of one node's records in `runtime`. */
export async function timeLists(plane: ControlPlane, calls: number): Promise<void> {
  using undo = new DisposableStack();
  const connect = (name: 'gateway' | 'runtime') =>
    undo.adopt(new Channel(plane.address(name)), (opened) => opened.close());
  const edge = createClient(Containers, connect('gateway'));
  const runtime = connect('runtime');
  const records = createClient(Containers, runtime);
  const finder = createClient(ContainerService, runtime);
  const fleet = { headers: { [Header.Namespace]: 'default' } };
  const node = { headers: { ...fleet.headers, [Header.Node]: 'n1' } };

  const time = async (what: string, call: () => Promise<unknown>) => {
    const pids = plane.pids();
    const before = usageOf(pids.gateway!).cpuSeconds;
    const latency = await latencyOf(calls, call);
    const cpuMs = ((usageOf(pids.gateway!).cpuSeconds - before) * 1000) / (calls + WARM_UP_CALLS);
    const load = loadavg()[0]!.toFixed(1);
    console.log(
      `  ${what}: ${formatLatency(latency)}; gateway ${cpuMs.toFixed(1)} ms CPU each; load ${load}`,
    );
  };
  for (const which of ['first', 'second']) {
    let unreachable = '';
    const onTrailers = (trailers: { get(name: string): unknown[] }) => {
      unreachable = String(trailers.get(Header.UnreachableNodes)[0] ?? '');
    };
    const started = performance.now();
    const { containers: found } = await edge.list({ filters: BY_LABEL }, { ...fleet, onTrailers });
    const silent = unreachable === '' ? 0 : unreachable.split(',').length;
    const ms = (performance.now() - started).toFixed(0);
    console.log(
      `  the ${which} list at the edge: ${found.length} found in ${ms} ms, ${silent} nodes did not answer`,
    );
  }
  await time('edge, all nodes, by label', () => edge.list({ filters: BY_LABEL }, fleet));
  await time('edge, all nodes, by image', () => edge.list({ filters: BY_IMAGE }, fleet));
  await time('edge, one node, by label', () => edge.list({ filters: BY_LABEL }, node));
  await time("runtime, one node's records, by label", () => records.list({ filters: BY_LABEL }, node));
  await time('runtime, which node has a container', () => finder.find({ id: `container-${APP}` }, fleet));
}

/** What a real agent answers from its copy. */
export async function timeRealAgent(plane: ControlPlane, calls: number): Promise<void> {
  await using agent = await plane.startAgent(REAL_NODE);
  using undo = new DisposableStack();
  const channel = undo.adopt(new Channel(`unix://${agent.socket}`), (opened) => opened.close());
  const containers = createClient(Containers, channel);
  const headers = { [Header.Namespace]: 'default' };
  let made = 0;
  for (const wanted of REAL_NODE_CONTAINERS) {
    const missing = { first: REAL_NODE_FIRST + made, count: wanted - made };
    await createContainers(plane, missing, () => REAL_NODE);
    made = wanted;
    const latency = await latencyOf(calls, () => containers.list({ filters: BY_LABEL }, { headers }));
    console.log(`real agent with ${wanted} containers, by label: ${formatLatency(latency)}`);
  }
}
