import type { DescService } from '@bufbuild/protobuf';
import type { LongshoreError } from '@longshore/errors';
import { messageRegistry } from '@longshore/proto';
import { ANONYMOUS, LOCAL, type Peer, parsePeer } from '@longshore/transport';
import { describe, expect, it } from 'vitest';
import { checkAccess, NODE_MAY_CALL, NODE_MAY_CALL_IN_ITS_SCOPE, NODE_MAY_NOT_CALL } from './access.ts';

const NODE = parsePeer('node/n1');
const LISTED = [...NODE_MAY_CALL, ...NODE_MAY_CALL_IN_ITS_SCOPE, ...NODE_MAY_NOT_CALL];

const services = [...messageRegistry].filter((type): type is DescService => type.kind === 'service');
const methods = services.flatMap((service) =>
  service.methods.map((method) => ({
    service: service.typeName,
    name: `${service.typeName}/${method.name}`,
  })),
);

/** `OK`, or the kind of the refusal. */
function outcome(peer: Peer, name: string, node = '_'): string {
  try {
    checkAccess({ peer, method: `/${name}`, node });
    return 'OK';
  } catch (error) {
    return (error as LongshoreError).kind;
  }
}

describe('the table of what nodes may call', () => {
  it('decides about each of our own methods, once and by its name', () => {
    const own = methods.filter(({ name }) => name.startsWith('longshore.')).map(({ name }) => name);
    expect(own.length).toBeGreaterThan(20);
    expect(LISTED.filter((entry) => entry.startsWith('longshore.')).sort()).toEqual(own.sort());
  });

  it('lists nothing that there is not', () => {
    const known = new Set(methods.flatMap(({ service, name }) => [service, name]));
    expect(LISTED.filter((entry) => !known.has(entry))).toEqual([]);
  });
});

describe('checkAccess', () => {
  it('lets services and callers on this machine call everything, for every node', () => {
    for (const { name } of methods) {
      expect(outcome(LOCAL, name, 'n2')).toBe('OK');
      expect(outcome(parsePeer('service/image'), name, 'n2')).toBe('OK');
    }
  });

  it('lets users call nothing, and strangers join only', () => {
    const allowed = (peer: Peer) =>
      methods.map(({ name }) => name).filter((name) => outcome(peer, name) === 'OK');
    expect(allowed(parsePeer('user/alice'))).toEqual([]);
    expect(allowed(ANONYMOUS).filter((name) => !name.startsWith('grpc.health.'))).toEqual([
      'longshore.runtime.v1.JoinService/Join',
    ]);
  });

  it("binds a node to its own scope: another's and the fleet's are refused", () => {
    const name = 'containerd.services.images.v1.Images/Get';
    expect(outcome(NODE, name, 'n1')).toBe('OK');
    for (const node of ['n2', '_', '']) expect(outcome(NODE, name, node)).toBe('PermissionDenied');
  });

  it.each([
    'containerd.services.tasks.v1.Tasks/Create',
    'containerd.services.events.v1.Events/Publish',
    'containerd.services.snapshots.v1.Snapshots/Remove',
    'longshore.runtime.v1.CertificateService/Issue',
    'longshore.runtime.v1.NodeAdminService/Remove',
    'made.up.Service/Get',
  ])('lets no node call %s', (name) => {
    expect(outcome(NODE, name, 'n1')).toBe('PermissionDenied');
  });

  it('leaves what a node says about itself to the handlers', () => {
    expect(outcome(NODE, 'longshore.runtime.v1.NodeService/Heartbeat')).toBe('OK');
  });
});
