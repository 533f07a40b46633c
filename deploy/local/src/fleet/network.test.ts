import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManagedProcess } from '../managed-process.ts';
import { type Toolchain, toolchain } from '../toolchain.ts';
import { until } from '../until.ts';
import { type FleetLayout, fleetLayout, replicaHost } from './layout.ts';
import { Namespaces } from './namespaces.ts';
import { Link, layBridge } from './network.ts';

const PORT = 7777;
const ARRIVAL_TIMEOUT_MS = 5000;
/** Prints what arrives, datagram by datagram. */
const LISTEN = `const s = require('dgram').createSocket('udp4');
  s.on('message', (m) => console.log('got ' + m)); s.bind(${PORT}, () => console.log('listening'));`;
const SEND = `const s = require('dgram').createSocket('udp4'); const [host, text] = process.argv.slice(1);
  s.send(text, ${PORT}, host, () => s.close());`;

interface Side {
  inside: Namespaces;
  /** What has arrived here. */
  heard: () => string;
  /** Of the other side. */
  peer: string;
}

const undo = new AsyncDisposableStack();
let dir: string;
let layout: FleetLayout;
let tools: Toolchain;
let control: Side;
let node: Side;
let link: Link;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'longshore-net-'));
  undo.defer(() => rmSync(dir, { recursive: true, force: true }));
  layout = fleetLayout({ root: join(dir, 'root'), state: join(dir, 'state'), nodes: 1, replicas: 2 });
  const [self] = layout.nodes;
  tools = await toolchain();
  const make = (name: string) =>
    Namespaces.create({ name, kinds: ['net'], logPath: join(dir, `${name}.log`) }, tools);
  const [controlInside, nodeInside] = [undo.use(await make('control')), undo.use(await make('n1'))];
  await layBridge(controlInside, layout);
  link = await Link.lay(controlInside, nodeInside, layout, self!, false);
  control = { inside: controlInside, heard: await listen(controlInside), peer: self!.host };
  node = { inside: nodeInside, heard: await listen(nodeInside), peer: replicaHost(2) };
});
afterAll(() => undo.disposeAsync());

async function listen(inside: Namespaces): Promise<() => string> {
  let heard = '';
  const [command = '', ...args] = inside.enter(['node', '-e', LISTEN]);
  const logPath = join(dir, `listener-${inside.pid}.log`);
  const onOutput = (chunk: Buffer) => {
    heard += chunk;
  };
  undo.use(new ManagedProcess({ name: 'listener', command, args, env: tools.env, logPath, onOutput }));
  expect(await until(() => heard.includes('listening'), ARRIVAL_TIMEOUT_MS)).toBe(true);
  return () => heard;
}

/** Sends one datagram each way and says whose arrived, once what must arrive has. */
async function probe(text: string, expected: { toControl: boolean; toNode: boolean }): Promise<void> {
  const send = (side: Side) => side.inside.run(['node', '-e', SEND, side.peer, text]).catch(() => '');
  const state = () => ({
    toControl: control.heard().includes(`got ${text}\n`),
    toNode: node.heard().includes(`got ${text}\n`),
  });
  const asExpected = async () => {
    await Promise.all([send(node), send(control)]);
    const { toControl, toNode } = state();
    return (toControl || !expected.toControl) && (toNode || !expected.toNode);
  };
  await until(asExpected, ARRIVAL_TIMEOUT_MS);
  expect(state()).toEqual(expected);
}

describe('Link', () => {
  it('carries packets both ways, one way, or not at all, and is whole again when healed', async () => {
    await probe('whole', { toControl: true, toNode: true });
    await link.partition('to-control');
    await probe('deaf control', { toControl: false, toNode: true });
    await link.heal();
    await probe('healed', { toControl: true, toNode: true });
    await link.partition('to-node');
    await probe('deaf node', { toControl: true, toNode: false });
    await link.partition('both');
    await probe('cut', { toControl: false, toNode: false });
    await link.heal();
    await probe('healed again', { toControl: true, toNode: true });
  });
});
