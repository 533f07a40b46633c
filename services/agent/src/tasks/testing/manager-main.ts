/**
 * An agent as far as tasks go, over the directories of a test: makes the task `web`, has it run an exec, kills it and
 * deletes it. Its one argument is the settings' file; see {@link ManagerSettings}.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { createLogger } from '@longshore/kit';
import { ContainerSchema } from '@longshore/proto/containerd/services/containers/v1/containers';
import {
  CreateTaskRequestSchema,
  ExecProcessRequestSchema,
} from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import { EventHub } from '../../spool/event-hub.ts';
import { EventSpool } from '../../spool/event-spool.ts';
import { NodeEvents } from '../../spool/node-events.ts';
import { addExec, deleteExec, killProcess, startProcess } from '../process-operations.ts';
import { TaskManager } from '../task-manager.ts';

export interface ManagerSettings {
  directory: string;
  namespace: string;
  cgroupParent: string;
  /** The container's, and its root file system on this host. */
  spec: object;
  image: string;
}

const settings = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as ManagerSettings;
const { directory, namespace, cgroupParent, spec, image } = settings;
const encode = (value: object) => new TextEncoder().encode(JSON.stringify(value));
const container = create(ContainerSchema, {
  id: 'web',
  runtime: { name: 'io.containerd.runc.v2' },
  spec: { typeUrl: JsonTypeUrl.Spec, value: encode(spec) },
});

const manager = await TaskManager.open({
  node: 'node-1',
  stateDir: join(directory, 'state'),
  rootDir: join(directory, 'root'),
  socketPath: join(directory, 'node.sock'),
  publishBinary: '/bin/false',
  cgroupParent,
  env: process.env,
  debug: false,
  log: createLogger('test', 'silent'),
  recorder: new NodeEvents(new EventSpool(join(directory, 'root', 'spool.db')), new EventHub()),
  containers: { get: async () => container },
});

const { context } = manager;
const call = { namespace };
const containerId = 'web';
const rootfs = [{ type: 'bind', source: image, options: ['rbind', 'rw'] }];
const task = await manager.create(call, create(CreateTaskRequestSchema, { containerId, rootfs }));
await startProcess(context, task, '', call);

const value = encode({ args: ['/bin/busybox', 'sh', '-c', 'exit 3'], cwd: '/', user: { uid: 0, gid: 0 } });
const exec = { containerId, execId: 'shell', spec: { typeUrl: JsonTypeUrl.Process, value } };
await addExec(context, task, create(ExecProcessRequestSchema, exec), call);
await startProcess(context, task, 'shell', call);
await task.call('wait', { execId: 'shell' });
await deleteExec(context, task, 'shell', call);

await killProcess(task, { execId: '', signal: 9, all: false }, call);
await task.call('wait', {});
await manager.delete(call, containerId);
await manager.close();
