import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { REPOSITORY } from '../architecture/sources.ts';
import { COMPOSE_SCHEMA } from './compose-schema.ts';

interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
}

interface Service {
  build?: { context: string; dockerfile: string };
  image: string;
  command?: string[];
  environment?: Record<string, string>;
  depends_on?: string[] | Record<string, unknown>;
  volumes?: string[];
  ports?: string[];
}

const compose = parse(readFileSync(join(REPOSITORY, 'docker-compose.yml'), 'utf8'), {
  merge: true,
}) as Compose;
const services = Object.entries(compose.services);
const ours = services.filter(([, service]) => service.build !== undefined);

describe('docker-compose.yml', () => {
  it('is a compose file, with nothing in it that the specification does not know', () => {
    const validate = new Ajv({ allErrors: true }).compile(COMPOSE_SCHEMA);
    expect(validate(compose) ? [] : validate.errors).toEqual([]);
  });

  it('has a control plane, a node, and the stores', () => {
    expect(ours.map(([name]) => name).sort()).toEqual([
      'agent',
      'certificates',
      'content',
      'events',
      'gateway',
      'image',
      'runtime',
      'snapshot',
    ]);
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(['postgres', 'nats', 's3']));
  });

  it('refers to what there is: services, volumes, files', () => {
    for (const [name, { depends_on = [], volumes = [] }] of services) {
      const needed = Array.isArray(depends_on) ? depends_on : Object.keys(depends_on);
      for (const other of needed) expect(compose.services, `${name} needs ${other}`).toHaveProperty(other);
      const named = volumes.map((mount) => mount.split(':')[0]!).filter((source) => !source.startsWith('/'));
      for (const source of named) expect(compose.volumes, `${name} mounts ${source}`).toHaveProperty(source);
    }
    for (const [, { build, command = [] }] of ours) {
      expect(existsSync(join(REPOSITORY, build!.context, build!.dockerfile))).toBe(true);
      const program = command.find((word) => word.endsWith('.ts'));
      expect(existsSync(join(REPOSITORY, program!)), program).toBe(true);
    }
  });

  it('keeps blobs in the bucket of the S3 server that it starts', () => {
    const { environment: server = {} } = compose.services.s3!;
    const { environment: content = {} } = compose.services.content!;
    expect(new URL(content.LONGSHORE_CONTENT_S3_ENDPOINT ?? '').hostname).toBe('s3');
    expect(content).toMatchObject({
      LONGSHORE_CONTENT_DRIVER: 's3',
      LONGSHORE_CONTENT_S3_ACCESS_KEY: server.MINIO_ROOT_USER,
      LONGSHORE_CONTENT_S3_SECRET_KEY: server.MINIO_ROOT_PASSWORD,
    });
    const made = JSON.stringify(compose.services['s3-bucket']);
    expect(made).toContain(`s3/${content.LONGSHORE_CONTENT_S3_BUCKET}`);
  });

  it('gives the node no credentials of the stores, and opens ports to this machine only', () => {
    const { environment = {} } = compose.services.agent!;
    expect(Object.keys(environment).filter((key) => /DATABASE|NATS|S3|MINIO/.test(key))).toEqual([]);
    for (const [, { ports = [] }] of services) {
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    }
  });
});

describe('the Dockerfile', () => {
  const lines = readFileSync(join(REPOSITORY, 'deploy/docker/Dockerfile'), 'utf8').split('\n');

  it('copies what there is, every workspace package before the installation', () => {
    const sources = lines
      .filter((line) => line.startsWith('COPY '))
      .flatMap((line) => line.split(/\s+/).slice(1, -1));
    for (const source of sources) expect(existsSync(join(REPOSITORY, source)), source).toBe(true);
    const { packages } = parse(readFileSync(join(REPOSITORY, 'pnpm-workspace.yaml'), 'utf8')) as {
      packages: string[];
    };
    const covers = (pattern: string) =>
      sources.some((source) => source === pattern.replace('/*', '') || source === `${pattern}/package.json`);
    expect(packages.filter((pattern) => !covers(pattern))).toEqual([]);
  });

  it('has the Node that the workspace runs on', () => {
    expect(lines.find((line) => line.startsWith('FROM '))).toMatch(
      new RegExp(`^FROM node:${process.versions.node.split('.')[0]}-`),
    );
  });
});
