import { join } from 'node:path';
import type { S3Bucket } from '../s3-request.ts';
import { Supervisor } from '../supervisor.ts';
import type { Toolchain } from '../toolchain.ts';
import { type FleetLayout, PORTS, REGISTRY_HOST } from './layout.ts';
import type { Namespaces } from './namespaces.ts';
import { relay } from './relay.ts';
import { RelayProcess } from './relay-process.ts';

/** A part of a bucket that is the fleet's, on a server of this machine. */
export interface FleetBucket extends S3Bucket {
  /** With a slash at its end. */
  readonly prefix: string;
}

/**
 * Lets the control plane and the nodes reach an S3 server that the machine itself reaches: a relay in the control plane's
 * network hands what it takes, by a unix socket, to one in this process. Not over delayed links.
 */
export class ObjectStore implements AsyncDisposable {
  /** For `content`. */
  readonly env: NodeJS.ProcessEnv;
  readonly #resources: AsyncDisposableStack;

  private constructor(env: NodeJS.ProcessEnv, resources: AsyncDisposableStack) {
    this.env = env;
    this.#resources = resources;
  }

  static async open(
    bucket: FleetBucket,
    layout: FleetLayout,
    control: Namespaces,
    tools: Toolchain,
    report: (line: string) => void,
  ): Promise<ObjectStore> {
    await using undo = new AsyncDisposableStack();
    const socket = join(layout.state, 'doors', 's3');
    const door = await relay({ listen: socket, connect: new URL(bucket.endpoint).host });
    undo.defer(() => door.close());
    const listen = `${REGISTRY_HOST}:${PORTS.s3}`;
    const inside = new RelayProcess(
      's3',
      control,
      [{ listen, connect: socket }],
      join(layout.logDir, 's3.log'),
      tools,
    );
    await undo.use(new Supervisor(report)).startWave([inside.unit]);
    return new ObjectStore(environmentOf(bucket, `http://${listen}`), undo.move());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#resources.disposeAsync();
  }
}

function environmentOf({ region, bucket, prefix, accessKey, secretKey }: FleetBucket, endpoint: string) {
  return {
    LONGSHORE_CONTENT_DRIVER: 's3',
    LONGSHORE_CONTENT_S3_ENDPOINT: endpoint,
    LONGSHORE_CONTENT_S3_REGION: region,
    LONGSHORE_CONTENT_S3_BUCKET: bucket,
    LONGSHORE_CONTENT_S3_PREFIX: prefix,
    LONGSHORE_CONTENT_S3_ACCESS_KEY: accessKey,
    LONGSHORE_CONTENT_S3_SECRET_KEY: secretKey,
  };
}
