import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ManagedProcess } from '@longshore/local';
import type { TlsFiles } from '@longshore/transport';
import type { Stack } from '../../harness/stack.ts';

const mainOf = (service: string) =>
  fileURLToPath(new URL(`../../../services/${service}/src/main.ts`, import.meta.url));

/** A gateway as other hosts reach it: TLS, and a role for everybody who calls. */
export interface SecuredGateway extends AsyncDisposable {
  address: string;
  pid: number;
  /** Of `user/bench`, an operator of one namespace. */
  tls: TlsFiles;
}

/** One more gateway of a stack. `namespace` is where `user/bench` may write. */
export async function startSecuredGateway(stack: Stack, namespace: string): Promise<SecuredGateway> {
  const state = join(stack.state, 'edge');
  const root = join(stack.root, 'edge');
  await mkdir(state, { mode: 0o700 });
  const env = {
    PATH: process.env.PATH,
    LONGSHORE_CA_DIR: join(stack.root, 'ca'),
    DATABASE_URL: stack.databaseUrl,
  };
  const identities = ['service/gateway', 'user/bench'].flatMap((identity) => ['--identity', identity]);
  const issue = [mainOf('runtime'), 'ca', 'issue', ...identities, '--out', root];
  await promisify(execFile)(process.execPath, issue, { env });
  const files = (name: string): TlsFiles => ({
    tlsCert: join(root, `${name}.crt`),
    tlsKey: join(root, `${name}.key`),
    tlsCa: join(root, 'ca.crt'),
  });
  const shown = files('gateway');
  const peers = ['content', 'image', 'snapshot', 'runtime', 'events'].map((name) => [
    `LONGSHORE_${name.toUpperCase()}_ADDRESS`,
    `unix://${stack.state}/${name}.sock`,
  ]);
  const gateway = new ManagedProcess({
    name: 'gateway-edge',
    command: process.execPath,
    args: [mainOf('gateway')],
    env: {
      ...env,
      ...Object.fromEntries(peers),
      LONGSHORE_STATE: state,
      LONGSHORE_ROOT: root,
      LONGSHORE_LOG_LEVEL: 'info',
      LONGSHORE_GATEWAY_LISTEN: '127.0.0.1:0',
      LONGSHORE_TLS_CERT: shown.tlsCert,
      LONGSHORE_TLS_KEY: shown.tlsKey,
      LONGSHORE_TLS_CA: shown.tlsCa,
    },
    logPath: join(stack.state, 'logs/gateway-edge.log'),
    withChannel: true,
  });
  const ended = gateway.exited.then(() => {
    throw new Error('the gateway has ended');
  });
  await Promise.race([new Promise((resolve) => gateway.child.once('message', resolve)), ended]);
  const { addresses } = JSON.parse(readFileSync(join(state, 'gateway.json'), 'utf8'));
  const token = readFileSync(join(root, 'gateway.token'), 'utf8').trim();
  const { status } = await fetch(`${addresses.http}/v1/bindings`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ subject: 'user/bench', namespace, role: 'operator' }),
  });
  if (status !== 200) throw new Error(`the binding: ${status}`);
  return {
    address: addresses.grpc,
    pid: gateway.child.pid ?? 0,
    tls: files('bench'),
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}
