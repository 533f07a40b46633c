import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create as createMessage, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  applySpecOptions,
  defaultSpec,
  encodeSpec,
  type RuntimeSpec,
  withPrivileged,
} from '@longshore/oci/runtime-spec';
import { CreateContainerRequestSchema } from '@longshore/proto/containerd/services/containers/v1/containers';
import {
  CreateTaskRequestSchema,
  ExecProcessRequestSchema,
} from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import { ExecRequestSchema } from '@longshore/proto/longshore/node/v1/stdio';
import { scratchDirectory, TestAuthority } from '@longshore/transport/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type BearerCallOptions, bearerCall } from '../testing/bearer-call.ts';
import { GatewayFixture } from '../testing/gateway-fixture.ts';

const IMAGES = '/containerd.services.images.v1.Images/List';
const directory = mkdtempSync(join(tmpdir(), 'longshore-edge-'));
const authority = new TestAuthority(directory);
const stranger = authority.issue('user/stranger');

let gateway: GatewayFixture;

beforeAll(async () => {
  const { tlsCert, tlsKey, tlsCa } = authority.issue('service/gateway');
  gateway = await GatewayFixture.start({
    LONGSHORE_GATEWAY_LISTEN: '127.0.0.1:0',
    LONGSHORE_TLS_CERT: tlsCert,
    LONGSHORE_TLS_KEY: tlsKey,
    LONGSHORE_TLS_CA: tlsCa,
  });
});
beforeEach(() => {
  gateway.takeSeen();
});
afterAll(async () => {
  await gateway.close();
  rmSync(directory, { recursive: true });
});

function call(path: string, headers: Record<string, string>, options: Partial<BearerCallOptions> = {}) {
  const all = { 'containerd-namespace': 'ns', ...headers };
  return bearerCall(gateway.grpc, path, { tls: stranger, headers: all, ...options });
}

describe('a caller at the gRPC door', () => {
  it('without certificate and token is nobody, but may ask for health', async () => {
    expect(await call(IMAGES, {})).toEqual({
      code: 16,
      message: 'a bearer token or a certificate is required: unauthenticated',
    });
    expect(await call('/no.Such/Method', {})).toMatchObject({ code: 16 });
    expect(await call('/grpc.health.v1.Health/Check', {})).toMatchObject({ code: 0 });
    expect(gateway.takeSeen()).toEqual([]);
  });

  it('is known by a bearer token, which counts before a certificate', async () => {
    const token = `Bearer ${gateway.token}`;
    expect(await call(IMAGES, { authorization: token })).toMatchObject({ code: 0 });
    for (const authorization of ['Bearer wrong', 'Basic eDp5', '', 'Bearer']) {
      expect(await call(IMAGES, { authorization }, { certificate: true })).toMatchObject({ code: 16 });
    }
    expect(gateway.takeSeen().map(({ caller }) => caller)).toEqual(['token/gateway']);
  });

  it('is cut off that shows a certificate of another authority, with a token too', async () => {
    const tls = { ...new TestAuthority(scratchDirectory()).issue('user/eve'), tlsCa: stranger.tlsCa };
    const authorization = `Bearer ${gateway.token}`;
    await expect(call(IMAGES, { authorization }, { tls, certificate: true })).rejects.toThrow();
    expect(gateway.takeSeen()).toEqual([]);
  });

  it("cannot speak for another, nor in the name of longshore's parts; its credential stays here", async () => {
    const spoofed = {
      authorization: `Bearer ${gateway.token}`,
      'longshore-caller': 'user/root',
      'longshore-live-tasks': '*',
      'longshore-connection': 'x',
    };
    expect(await call(IMAGES, spoofed)).toMatchObject({ code: 0 });
    expect(await call(IMAGES, { ...spoofed, 'longshore-node': 'n1' })).toMatchObject({ code: 0 });
    const [fleet, node] = gateway.takeSeen();
    const told = { caller: 'token/gateway', liveTasks: undefined, authorization: undefined };
    expect(fleet).toMatchObject({ at: 'image Images/List', ...told });
    expect(node).toMatchObject({ at: 'agent Images/List', ...told });
  });
});

describe('a container that would give its owner the host', () => {
  const create = '/containerd.services.containers.v1.Containers/Create';
  const update = '/containerd.services.containers.v1.Containers/Update';
  const TASKS = '/containerd.services.tasks.v1.Tasks';
  const strong = { containerId: 'strong', execId: 'e' };
  const exec = '/longshore.node.v1.StdioService/Exec';

  function containerWith(change: (spec: RuntimeSpec) => RuntimeSpec, id = 'web'): Uint8Array {
    const value = encodeSpec(change(defaultSpec({ namespace: 'ns', id })));
    const spec = { typeUrl: JsonTypeUrl.Spec, value };
    return toBinary(
      CreateContainerRequestSchema,
      createMessage(CreateContainerRequestSchema, { container: { id, spec } }),
    );
  }

  function execWith(capability: string, containerId = 'web'): Uint8Array {
    const value = new TextEncoder().encode(JSON.stringify({ capabilities: { bounding: [capability] } }));
    const start = { containerId, spec: { typeUrl: JsonTypeUrl.Process, value } };
    return toBinary(
      ExecRequestSchema,
      createMessage(ExecRequestSchema, { message: { case: 'start', value: start } }),
    );
  }

  it('needs the role host in its namespace, whoever else writes there', async () => {
    const made = await gateway.send('POST', '/v1/tokens', { namespace: 'ns', role: 'operator' });
    const { id, secret } = (await made.json()) as { id: string; secret: string };
    const headers = { authorization: `Bearer ${secret}`, 'longshore-node': 'n1' };
    const privileged = containerWith((spec) => applySpecOptions(spec, withPrivileged()));
    const plain = containerWith((spec) => spec);
    expect(await call(create, headers, { message: plain })).toMatchObject({ code: 0 });
    expect(gateway.takeSeen()).toMatchObject([{ at: 'agent Containers/Create', caller: `token/${id}` }]);
    const refused = {
      code: 7,
      message: expect.stringMatching(
        /^token\/\w+ lacks the role host in namespace "ns", which this needs: \w/,
      ),
    };
    expect(await call(create, headers, { message: privileged })).toEqual(refused);
    // The stand-in for the agent has no such method: it is how to tell that a call has come there.
    expect(await call(exec, headers, { message: execWith('CAP_CHOWN') })).toMatchObject({ code: 12 });
    expect(await call(exec, headers, { message: execWith('CAP_SYS_ADMIN') })).toEqual(refused);
    expect(await call(exec, headers, { message: new Uint8Array([0x0a, 0x7f]) })).toMatchObject({ code: 3 });
    // What the record of the container says was asked; nothing has come to its node.
    expect(gateway.takeSeen().map(({ at }) => at)).toEqual(['runtime Containers/Get']);
    const { spec } = fromBinary(CreateContainerRequestSchema, privileged).container!;
    gateway.backends.runtime.specs.set('strong', { spec: spec! });
    const entering: [string, Uint8Array][] = [
      [exec, execWith('CAP_CHOWN', 'strong')],
      [`${TASKS}/Exec`, toBinary(ExecProcessRequestSchema, createMessage(ExecProcessRequestSchema, strong))],
      [`${TASKS}/Create`, toBinary(CreateTaskRequestSchema, createMessage(CreateTaskRequestSchema, strong))],
      [update, containerWith((spec) => spec, 'strong')],
    ];
    for (const [path, message] of entering) expect(await call(path, headers, { message })).toEqual(refused);
    const over = { authorization: headers.authorization, 'content-type': 'application/json' };
    for (const [path, body] of [
      ['exec', { args: ['sh'] }],
      ['task', {}],
    ] as const) {
      const url = `${gateway.http}/v1/containers/strong/${path}?namespace=ns&node=n1`;
      const answer = await fetch(url, { method: 'POST', headers: over, body: JSON.stringify(body) });
      expect(await answer.json()).toMatchObject({ status: 403, detail: expect.stringMatching(/role host/) });
    }
    expect(gateway.takeSeen().filter(({ at }) => at.startsWith('agent'))).toEqual([]);
    await gateway.bind(`token/${id}`, 'host', 'ns');
    for (const [path, message] of entering) {
      expect(await call(path, headers, { message })).not.toMatchObject({ code: 7 });
    }
    expect(await call(create, headers, { message: privileged })).toMatchObject({ code: 0 });
    expect(await call(exec, headers, { message: execWith('CAP_SYS_ADMIN') })).toMatchObject({ code: 12 });
    const elsewhere = { ...headers, 'containerd-namespace': 'ns-2' };
    expect(await call(create, elsewhere, { message: plain })).toMatchObject({ code: 7 });
  });
});
