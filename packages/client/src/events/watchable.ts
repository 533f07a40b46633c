import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import { type ContainerInfo, containerInfoFromProto } from '../containers/container-info.ts';
import { listContainers } from '../containers/list-containers.ts';
import { type ProcessStatus, processStatusFromProto } from '../tasks/process-status.ts';
import type { ServerEvent } from './event.ts';

/** One kind of thing that is listed, and whose changes are events. */
export interface Watchable<T> {
  /** Of its events' topics. */
  readonly topic: string;
  /** Which one an event is about; undefined when it changes none. */
  keyOf(event: ServerEvent): string | undefined;
  list(connection: Connection, options: CallOptions): AsyncIterable<readonly [key: string, item: T]>;
  /** Throws NotFound. */
  get(connection: Connection, key: string, options: CallOptions): Promise<T>;
}

/** What a record of an image says. */
export interface ImageRecord {
  readonly name: string;
  readonly digest: string;
  readonly mediaType: string;
  readonly labels: Readonly<Record<string, string>>;
}

const containers: Watchable<ContainerInfo> = {
  topic: '/containers/',
  keyOf: ({ data }) => (data && 'id' in data ? data.id : undefined),
  async *list(connection, options) {
    for await (const container of listContainers(connection, options)) yield [container.id, container];
  },
  async get(connection, id, options) {
    const { container } = await connection.service(Containers).get({ id }, options);
    return containerInfoFromProto(container!);
  },
};

/** By the id of the container. */
const tasks: Watchable<ProcessStatus> = {
  topic: '/tasks/',
  keyOf: ({ data }) => (data && 'containerId' in data ? data.containerId : undefined),
  async *list(connection, options) {
    const { tasks: all } = await connection.service(Tasks).list({}, options);
    for (const process of all) yield [process.id, processStatusFromProto(process)];
  },
  async get(connection, containerId, options) {
    const { process } = await connection.service(Tasks).get({ containerId }, options);
    return processStatusFromProto(process!);
  },
};

const images: Watchable<ImageRecord> = {
  topic: '/images/',
  keyOf: ({ data }) => (data && 'name' in data ? data.name : undefined),
  async *list(connection, options) {
    const { images: all } = await connection.service(Images).list({}, options);
    for (const image of all) yield [image.name, imageRecordFromProto(image)];
  },
  async get(connection, name, options) {
    const { image } = await connection.service(Images).get({ name }, options);
    return imageRecordFromProto(image!);
  },
};

export const WATCHABLES = { containers, tasks, images };

export interface WatchedItems {
  containers: ContainerInfo;
  tasks: ProcessStatus;
  images: ImageRecord;
}

function imageRecordFromProto(image: {
  name: string;
  labels: Record<string, string>;
  target?: { digest: string; mediaType: string } | undefined;
}): ImageRecord {
  const { name, labels, target } = image;
  return { name, labels, digest: target?.digest ?? '', mediaType: target?.mediaType ?? '' };
}
