import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { defaultSpec, encodeSpec } from '@longshore/oci/runtime-spec';
import { CheckpointOptionsSchema, OptionsSchema } from '@longshore/proto/containerd/runc/v1/oci';
import { CreateContainerRequestSchema } from '@longshore/proto/containerd/services/containers/v1/containers';
import {
  CheckpointTaskRequestSchema,
  CreateTaskRequestSchema,
  ExecProcessRequestSchema,
} from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { TransferRequestSchema } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { OCIRegistrySchema } from '@longshore/proto/containerd/types/transfer/registry';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import {
  AttachRequestSchema,
  CreateRequestSchema,
  ExecRequestSchema,
} from '@longshore/proto/longshore/node/v1/stdio';
import { describe, expect, it } from 'vitest';
import { changes, rpcRuleOf } from '../rpc-rules.ts';
import { ENTERING, enteredContainer } from './entered-container.ts';
import { JUDGED, judgeOf } from './request-reason.ts';

const CONTAINERS = '/containerd.services.containers.v1.Containers';
const TASKS = '/containerd.services.tasks.v1.Tasks';
const STDIO = '/longshore.node.v1.StdioService';

function reason<S extends DescMessage>(
  path: string,
  schema: S,
  request: MessageInitShape<S>,
): string | undefined {
  return judgeOf(path)!(toBinary(schema, create(schema, request)));
}

const runc = (options: MessageInitShape<typeof OptionsSchema>) => ({
  typeUrl: 'containerd.runc.v1.Options',
  value: toBinary(OptionsSchema, create(OptionsSchema, options)),
});
const spec = { typeUrl: JsonTypeUrl.Spec, value: encodeSpec(defaultSpec({ namespace: 'ns', id: 'web' })) };

describe('the requests that are looked into', () => {
  it('are of methods that change something', () => {
    for (const path of [...JUDGED, ...ENTERING])
      expect([path, changes(rpcRuleOf(path)!)]).toEqual([path, true]);
    expect(judgeOf('/constructor')).toBeUndefined();
    expect(judgeOf('constructor')).toBeUndefined();
  });

  it('must be messages', () => {
    expect(() => judgeOf(`${CONTAINERS}/Create`)!(new Uint8Array([0x0a, 0x7f]))).toThrow(/invalid argument$/);
  });
});

it('a transfer reads no configuration of registries from a chosen directory', () => {
  const transfer = (hostDir: string) => {
    const registry = create(OCIRegistrySchema, { reference: 'r', resolver: { hostDir } });
    const value = toBinary(OCIRegistrySchema, registry);
    const source = { typeUrl: `types/${OCIRegistrySchema.typeName}`, value };
    return reason('/containerd.services.transfer.v1.Transfer/Transfer', TransferRequestSchema, { source });
  };
  expect(transfer('')).toBeUndefined();
  expect(transfer('/etc')).toBe('its registries are described in "/etc"');
});

it('who only listens to a container does not enter it', () => {
  const attach = (stdin: boolean) => {
    const value = { containerId: 'web', stdin };
    const request = create(AttachRequestSchema, { message: { case: 'start', value } });
    return enteredContainer(`${STDIO}/Attach`, toBinary(AttachRequestSchema, request));
  };
  expect([attach(false), attach(true)]).toEqual(['', 'web']);
});

describe('a container', () => {
  const container = (more: object) =>
    reason(`${CONTAINERS}/Create`, CreateContainerRequestSchema, {
      container: { id: 'web', spec, runtime: { name: 'io.containerd.runc.v2' }, ...more },
    });

  it('is harmless as clients make it', () => {
    expect(container({})).toBeUndefined();
    expect(
      container({ labels: { 'containerd.io/restart.loguri': 'longshore://log?files=3' } }),
    ).toBeUndefined();
    const options = runc({ systemdCgroup: true, ioUid: 1000 });
    expect(container({ runtime: { name: 'io.containerd.runc.v2', options } })).toBeUndefined();
  });

  it.each([
    [{ runtime: { name: '/usr/bin/evil' } }],
    [{ runtime: { name: '../evil' } }],
    [{ runtime: { name: 'io.containerd.runc.v2', options: runc({ binaryName: '/bin/sh' }) } }],
    [{ runtime: { name: 'io.containerd.runc.v2', options: runc({ root: '/etc' }) } }],
    [
      {
        runtime: {
          name: 'io.containerd.kata.v2',
          options: { typeUrl: 'runtimeoptions.v1.Options', value: Buffer.from([0x12, 1, 0x2f]) },
        },
      },
    ],
    [{ labels: { 'containerd.io/restart.loguri': 'binary:///bin/sh?-c' } }],
    [{ labels: { 'containerd.io/restart.loguri': 'longshore://logs' } }],
    [{ spec: { typeUrl: 'other', value: spec.value } }],
    [{ spec: { ...spec, value: new Uint8Array() } }],
  ])('is not with %j', (more) => expect(container(more)).toEqual(expect.any(String)));
});

describe('a task', () => {
  const task = (more: object) =>
    reason(`${TASKS}/Create`, CreateTaskRequestSchema, { containerId: 'web', ...more });

  it('writes to nothing of the host, and is what its container is', () => {
    expect(task({})).toBeUndefined();
    expect(task({ stdout: 'longshore://log' })).toBeUndefined();
    for (const more of [
      { stdout: 'binary:///bin/sh' },
      { stdout: 'file:///etc/passwd' },
      { stderr: '/etc/passwd' },
      { stdin: '/root/.ssh/id_rsa' },
      { rootfs: [{ type: 'bind', source: '/' }] },
      { runtimePath: '/bin/evil' },
      { taskApiAddress: 'ttrpc+unix:///x' },
      { checkpoint: { digest: 'sha256:1' } },
      { options: runc({ criuImagePath: '/etc' }) },
    ]) {
      expect([more, task(more)]).toEqual([more, expect.any(String)]);
    }
  });

  it('is joined by processes with no more rights than it has', () => {
    const value = new TextEncoder().encode(
      JSON.stringify({ cwd: '/', capabilities: { bounding: ['CAP_SYS_ADMIN'] } }),
    );
    const process = { typeUrl: JsonTypeUrl.Process, value };
    const exec = { containerId: 'web', execId: 'e' };
    expect(reason(`${TASKS}/Exec`, ExecProcessRequestSchema, exec)).toBeUndefined();
    expect(reason(`${TASKS}/Exec`, ExecProcessRequestSchema, { ...exec, spec: process })).toBe(
      'capability CAP_SYS_ADMIN',
    );
    expect(reason(`${TASKS}/Exec`, ExecProcessRequestSchema, { ...exec, stdout: '/etc/passwd' })).toMatch(
      /passwd/,
    );
    const start = (more: object) =>
      reason(`${STDIO}/Exec`, ExecRequestSchema, {
        message: { case: 'start', value: { containerId: 'web', ...more } },
      });
    expect(start({ args: ['sh'] })).toBeUndefined();
    expect(start({ spec: process })).toBe('capability CAP_SYS_ADMIN');
    expect(reason(`${STDIO}/Create`, CreateRequestSchema, { options: runc({ binaryName: 'x' }) })).toMatch(
      /binary_name/,
    );
  });

  it('is not written to a chosen directory', () => {
    const checkpoint = (options: MessageInitShape<typeof CheckpointOptionsSchema>) =>
      reason(`${TASKS}/Checkpoint`, CheckpointTaskRequestSchema, {
        options: {
          typeUrl: 'containerd.runc.v1.CheckpointOptions',
          value: toBinary(CheckpointOptionsSchema, create(CheckpointOptionsSchema, options)),
        },
      });
    expect(checkpoint({ exit: true })).toBeUndefined();
    expect(checkpoint({ imagePath: '/etc' })).toBe('runtime option image_path');
  });
});
