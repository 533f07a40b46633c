import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@longshore/proto/containerd/services/containers/v1/containers';
import { CreateImageRequestSchema } from '@longshore/proto/containerd/services/images/v1/images';
import { KillRequestSchema } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { CreateBindingRequestSchema, Role } from '@longshore/proto/longshore/access/v1/access';
import { describe, expect, it } from 'vitest';
import { scrub } from './scrub.ts';
import { subjectOf, subjectOfJson } from './subject.ts';

function subject<S extends DescMessage>(schema: S, init: MessageInitShape<S>) {
  return subjectOf(schema, toBinary(schema, create(schema, init)));
}

describe('what a request is about', () => {
  it('is its names, ids and digests', () => {
    const target = { mediaType: 'm', digest: 'sha256:1', size: 3n, annotations: { password: 'hunter2' } };
    expect(
      subject(CreateImageRequestSchema, { image: { name: 'redis:7', target, labels: { a: 'b' } } }),
    ).toEqual({
      'image.name': 'redis:7',
      'image.target.digest': 'sha256:1',
    });
    expect(subject(KillRequestSchema, { containerId: 'web', execId: 'e', signal: 9 })).toEqual({
      container_id: 'web',
      exec_id: 'e',
      signal: '9',
    });
    const binding = { subject: 'user/alice', namespace: 'shop', role: Role.ADMIN };
    expect(subject(CreateBindingRequestSchema, binding)).toEqual({ ...binding, role: 'ROLE_ADMIN' });
  });

  it('is nothing of a spec, of labels or of options', () => {
    const spec = { typeUrl: 't', value: Buffer.from('{"process":{"env":["PASSWORD=hunter2"]}}') };
    const container = {
      id: 'web',
      image: 'redis:7',
      spec,
      labels: { id: 'hunter2' },
      runtime: { name: 'r', options: spec },
      extensions: { name: spec },
    };
    const found = subject(CreateContainerRequestSchema, { container });
    expect(found).toMatchObject({ 'container.id': 'web', 'container.image': 'redis:7' });
    expect(JSON.stringify(found)).not.toContain('hunter2');
  });

  it('is nothing of what is no such message', () => {
    expect(subjectOf(KillRequestSchema, Buffer.from('ffff', 'hex'))).toEqual({});
  });

  it('is in JSON what its own fields name', () => {
    const body = {
      name: 'web',
      image: 'redis:7',
      nodes: ['n1', 'n2'],
      env: { name: 'hunter2' },
      labels: { id: 'hunter2' },
      auth: { identity: 'hunter2' },
      target: { digest: 'sha256:1' },
    };
    expect(subjectOfJson(body)).toEqual({
      name: 'web',
      image: 'redis:7',
      nodes: 'n1,n2',
      'target.digest': 'sha256:1',
    });
  });

  it('has no credential in the place of a name', () => {
    const texts = [
      'https://bob:hunter2@registry.example/redis:7',
      'binary:///bin/log?token=hunter2',
      'lst_1a2b_hunter2',
      'Bearer hunter2',
      'Basic aHVudGVyMg==',
    ];
    expect(texts.map(scrub)).toEqual([
      'https://…@registry.example/redis:7',
      'binary:///bin/log?…',
      'lst_1a2b_…',
      'Bearer …',
      'Basic …',
    ]);
  });
});
