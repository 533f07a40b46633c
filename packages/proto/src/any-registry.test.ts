import { create, toBinary } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { anyToJson, lookUpType } from './any-registry.ts';
import { TaskExitSchema } from './gen/containerd/events/task_pb.js';
import { MetricsSchema as MetricsV1 } from './gen/io/containerd/cgroups/v1/metrics_pb.js';
import { JsonTypeUrl } from './json-types.ts';

describe('lookUpType', () => {
  it('finds a message by its bare full name and behind a prefix', () => {
    expect(lookUpType('containerd.events.TaskExit')).toEqual({ kind: 'message', schema: TaskExitSchema });
    expect(lookUpType('type.googleapis.com/io.containerd.cgroups.v1.Metrics')).toEqual({
      kind: 'message',
      schema: MetricsV1,
    });
  });

  it('knows image events by the package that containerd gives them', () => {
    expect(lookUpType('containerd.services.images.v1.ImageCreate').kind).toBe('message');
  });

  it('knows the JSON documents of the OCI runtime', () => {
    expect(lookUpType(JsonTypeUrl.Spec)).toEqual({ kind: 'json' });
  });

  it('says so when nobody knows the type', () => {
    expect(lookUpType('acme.Widget')).toEqual({ kind: 'unknown' });
  });
});

describe('anyToJson', () => {
  it('decodes an event with the field names of the .proto file', () => {
    const event = create(TaskExitSchema, { containerId: 'web', id: 'web', pid: 7, exitStatus: 137 });
    const value = toBinary(TaskExitSchema, event);
    expect(anyToJson({ typeUrl: 'containerd.events.TaskExit', value })).toEqual({
      container_id: 'web',
      id: 'web',
      pid: 7,
      exit_status: 137,
    });
    expect(anyToJson(anyPack(TaskExitSchema, event))).toMatchObject({ container_id: 'web' });
  });

  it('parses a JSON document', () => {
    const value = new TextEncoder().encode('{"ociVersion":"1.0.2"}');
    expect(anyToJson({ typeUrl: JsonTypeUrl.Spec, value })).toEqual({ ociVersion: '1.0.2' });
  });

  it('is undefined for bytes that do not fit their type', () => {
    expect(
      anyToJson({ typeUrl: 'containerd.events.TaskExit', value: new Uint8Array([0xff]) }),
    ).toBeUndefined();
  });
});
