import { describe, expect, it } from 'vitest';
import { type CgroupPlace, prepareSpec } from './bundle-spec.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);
const PLACE: CgroupPlace = { parent: '/longshore', fallback: '/team-a/web', bySystemd: undefined };
const prepare = (spec: string, place: Partial<CgroupPlace> = {}) =>
  prepareSpec(bytes(spec), { ...PLACE, ...place });
const pathIn = (spec: string, place?: Partial<CgroupPlace>) =>
  JSON.parse(text(prepare(spec, place).config)).linux.cgroupsPath;
const INVALID = expect.objectContaining({ kind: 'InvalidArgument' });

describe('prepareSpec', () => {
  it('puts the cgroup under the parent', () => {
    const { config, cgroup } = prepare('{"linux":{"cgroupsPath":"/default/web","x":1}}');
    expect(JSON.parse(text(config))).toEqual({ linux: { cgroupsPath: '/longshore/default/web', x: 1 } });
    expect(cgroup).toBe('/longshore/default/web');
  });

  it('does not let a cgroup path leave the parent', () => {
    for (const path of ['/../../web', 'web', '../web', './web', '//web', '/web/', '/x/../web//']) {
      expect(pathIn(JSON.stringify({ linux: { cgroupsPath: path } })), path).toBe('/longshore/web');
    }
  });

  it('names a cgroup for a spec that does not: the shim would put it below its own', () => {
    for (const spec of [
      '{}',
      '{"linux":null}',
      '{"linux":{}}',
      '{"linux":{"cgroupsPath":""}}',
      '{"linux":{"cgroupsPath":"/.."}}',
    ]) {
      expect(pathIn(spec), spec).toBe('/longshore/team-a/web');
    }
  });

  it('keeps integers that a JavaScript number cannot hold, and every other number as it was written', () => {
    const resources = '"limit":9223372036854775807,"swap":-1,"period":18446744073709551615,"r":1.0';
    const { config } = prepare(`{"linux":{"cgroupsPath":"/a",${resources}}}`);
    expect(text(config)).toBe(`{"linux":{"cgroupsPath":"/longshore/a",${resources}}}`);
  });

  it('writes the path alone, whatever is around it', () => {
    const place = '"cgroupsPath":"/longshore/team-a/web"';
    for (const [spec, expected] of [
      [' { } ', ` {"linux":{${place}} } `],
      ['{ "a" : 1 }', `{"linux":{${place}}, "a" : 1 }`],
      ['{"linux" : null , "a":1}', `{"linux" : {${place}}, "a":1}`],
      ['{"linux": { } }', `{"linux": {${place} } }`],
      ['{"linux":{"x":[{"cgroupsPath":"/y"}]}}', `{"linux":{${place},"x":[{"cgroupsPath":"/y"}]}}`],
      [
        '{"x":"\\\\","linux":{"cgroupsPath" : "" }}',
        `{"x":"\\\\","linux":{"cgroupsPath" : "/longshore/team-a/web"}}`,
      ],
    ] as const) {
      expect(text(prepare(spec).config)).toBe(expected);
    }
  });

  it('takes no longer than a few times the parsing of the spec', () => {
    const spec = JSON.stringify({ linux: {}, x: new Array(2_000_000).fill(1) });
    // The process's own time: others may have the machine meanwhile.
    const cpuMs = (work: () => unknown) => {
      const start = process.cpuUsage();
      work();
      const { user, system } = process.cpuUsage(start);
      return (user + system) / 1_000;
    };
    const parseMs = cpuMs(() => JSON.parse(spec));
    expect(cpuMs(() => prepare(spec))).toBeLessThan(10 * parseMs + 200);
  });

  it("leaves systemd's form as it came, and any when the options say systemd", () => {
    const form = '{ "linux": {"cgroupsPath":"a.slice:b:c"} }';
    expect(text(prepare(form).config)).toBe(form);
    expect(prepare(form).cgroup).toBeUndefined();
    for (const spec of [form, '{ "linux": {} }', '{}']) {
      expect(text(prepare(spec, { bySystemd: true }).config)).toBe(spec);
    }
    expect(pathIn(form, { bySystemd: false })).toBe('/longshore/a.slice:b:c');
  });

  it.each([
    ['another case', '{"linux":{"cgroupspath":"/x"}}'],
    ['another case above', '{"Linux":{"cgroupsPath":"/x"}}'],
    ['a letter that Go folds', '{"linux":{"cgroup\u017fPath":"/x"}}'],
    ['both cases', '{"linux":{"cgroupsPath":"/a","CgroupsPath":"/x"}}'],
    ['a second object', '{"linux":{"cgroupsPath":"/x"},"linux":{"namespaces":[]}}'],
    ['a second path', '{"linux":{"cgroupsPath":"/x","cgroupsPath":"/a"}}'],
    ['annotations twice', '{"annotations":{"io.containerd.runc.v2.group":"g"},"annotations":{}}'],
    ['mappings in another case', '{"linux":{"GIDMappings":[]}}'],
  ])('refuses what Go and JavaScript read differently: %s', (_what, spec) => {
    expect(() => prepare(spec)).toThrow(INVALID);
  });

  it('refuses a cgroup path that no kernel takes', () => {
    for (const path of ['/a\0b', '/x'.repeat(5_000)]) {
      expect(() => prepare(JSON.stringify({ linux: { cgroupsPath: path } }))).toThrow(INVALID);
    }
  });

  it('finds the gid that is root inside', () => {
    const gidMappings = [
      { containerID: 1, hostID: 5, size: 9 },
      { containerID: 0, hostID: 7, size: 1 },
    ];
    expect(prepare(JSON.stringify({ linux: { gidMappings } })).rootGid).toBe(7);
    expect(prepare('{}').rootGid).toBeUndefined();
    for (const hostID of [-1, 1.5, 2 ** 32, '7', {}]) {
      const mappings = [{ containerID: 0, hostID, size: 1 }];
      expect(() => prepare(JSON.stringify({ linux: { gidMappings: mappings } }))).toThrow(INVALID);
    }
  });

  it('sees that a shim may be shared', () => {
    const spec = { annotations: { 'io.kubernetes.cri.sandbox-id': 'pod' } };
    expect(prepare(JSON.stringify(spec)).isGrouped).toBe(true);
    expect(prepare('{}').isGrouped).toBe(false);
  });

  it('refuses what is no spec', () => {
    const nested = (levels: number) => `{"linux":{},"x":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    prepare(nested(9_999));
    const others = [
      '{"linux":[]}',
      '{"linux":1}',
      '{"annotations":[]}',
      '{"linux":{"cgroupsPath":[]}}',
      nested(10_000),
      nested(200_000),
    ];
    for (const spec of ['', '{', '1', 'null', '[]', ...others]) {
      expect(() => prepare(spec), spec.slice(0, 40)).toThrow(INVALID);
    }
  });
});
