import type { DescService } from '@bufbuild/protobuf';
import { messageRegistry } from '@longshore/proto';
import { describe, expect, it } from 'vitest';
import { planOf } from '../door/owners.ts';
import { changes, NOT_AT_THE_EDGE, RPC_RULES, rpcRuleOf } from './rpc-rules.ts';

const services = [...messageRegistry].filter((type): type is DescService => type.kind === 'service');
const rpcs = services.flatMap((service) =>
  service.methods.map(({ name }) => ({ service: service.typeName, name: `${service.typeName}/${name}` })),
);
const refused = new Set(NOT_AT_THE_EDGE);
const ruled = Object.entries(RPC_RULES).flatMap(([service, methods]) =>
  Object.keys(methods).map((method) => `${service}/${method}`),
);

describe('the rules of the RPCs', () => {
  it('decide about each RPC of every .proto file, once', () => {
    expect(rpcs.length).toBeGreaterThan(150);
    const undecided = rpcs.filter(
      ({ service, name }) => !rpcRuleOf(`/${name}`) && !refused.has(name) && !refused.has(service),
    );
    expect(undecided).toEqual([]);
    const twice = ruled.filter((name) => refused.has(name) || refused.has(name.split('/')[0]!));
    expect(twice).toEqual([]);
  });

  it('name nothing that there is not', () => {
    const known = new Set(rpcs.flatMap(({ service, name }) => [service, name]));
    expect([...ruled, ...NOT_AT_THE_EDGE].filter((name) => !known.has(name))).toEqual([]);
  });

  it('are there for just what the door has a way for', () => {
    const routed = rpcs.map(({ name }) => name).filter((name) => planOf(`/${name}`) !== undefined);
    expect(ruled.sort()).toEqual(routed.sort());
  });

  it('let nobody change anything by a rule about reading', () => {
    const names = /\/(Create|Update|Delete|Remove|Set|Write|Kill|Exec|Start|Stop|Prepare|Commit|Pull|Drain)/;
    const wrong = ruled.filter(
      (name) => names.test(`/${name.split('/')[1]}`) && !changes(rpcRuleOf(`/${name}`)!),
    );
    expect(wrong).toEqual([]);
  });

  it('know whose requests are streams', () => {
    const streams = services.flatMap(({ typeName, methods }) =>
      methods
        .filter(({ methodKind }) => methodKind === 'bidi_streaming' || methodKind === 'client_streaming')
        .map(({ name }) => `${typeName}/${name}`),
    );
    const marked = ruled.filter((name) => rpcRuleOf(`/${name}`)!.streams);
    expect(marked.sort()).toEqual(streams.filter((name) => ruled.includes(name)).sort());
  });

  it('know nothing by names that every object has', () => {
    for (const path of ['', '/', '/constructor', '/a.B/toString', '/grpc.health.v1.Health/valueOf']) {
      expect(rpcRuleOf(path)).toBeUndefined();
    }
  });
});
