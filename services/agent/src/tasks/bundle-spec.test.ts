import { describe, expect, it } from 'vitest';
import { prepareSpec } from './bundle-spec.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);

describe('prepareSpec', () => {
  it('puts an absolute cgroup path under the parent', () => {
    const { config } = prepareSpec(bytes('{"linux":{"cgroupsPath":"/default/web","x":1}}'), '/longshore');
    expect(JSON.parse(text(config))).toEqual({ linux: { cgroupsPath: '/longshore/default/web', x: 1 } });
  });

  it('does not let a cgroup path leave the parent', () => {
    const { config } = prepareSpec(bytes('{"linux":{"cgroupsPath":"/../../web"}}'), '/longshore');
    expect(JSON.parse(text(config)).linux.cgroupsPath).toBe('/longshore/web');
  });

  it('keeps integers that a JavaScript number cannot hold, and every other number as it was written', () => {
    const resources = '"limit":9223372036854775807,"swap":-1,"period":18446744073709551615,"r":1.0';
    const { config } = prepareSpec(bytes(`{"linux":{"cgroupsPath":"/a",${resources}}}`), '/p');
    expect(text(config)).toBe(`{"linux":{"cgroupsPath":"/p/a",${resources}}}`);
  });

  it("leaves systemd's form, and a spec without a path, as they came", () => {
    for (const spec of ['{ "linux": {"cgroupsPath":"a.slice:b:c"} }', '{ "linux": {} }', '{}']) {
      expect(text(prepareSpec(bytes(spec), '/longshore').config)).toBe(spec);
    }
  });

  it('finds the gid that is root inside', () => {
    const spec = {
      linux: {
        gidMappings: [
          { containerID: 1, hostID: 5, size: 9 },
          { containerID: 0, hostID: 7, size: 1 },
        ],
      },
    };
    expect(prepareSpec(bytes(JSON.stringify(spec)), '/p').rootGid).toBe(7);
    expect(prepareSpec(bytes('{}'), '/p').rootGid).toBeUndefined();
  });

  it('sees that a shim may be shared', () => {
    const spec = { annotations: { 'io.kubernetes.cri.sandbox-id': 'pod' } };
    expect(prepareSpec(bytes(JSON.stringify(spec)), '/p').isGrouped).toBe(true);
    expect(prepareSpec(bytes('{}'), '/p').isGrouped).toBe(false);
  });

  it('refuses what is no JSON object', () => {
    for (const spec of ['', '{', '1', 'null']) {
      expect(() => prepareSpec(bytes(spec), '/p')).toThrow(
        expect.objectContaining({ kind: 'InvalidArgument' }),
      );
    }
  });
});
