import { describe, expect, it } from 'vitest';
import { defaultSpec } from './default-spec.ts';
import { withHostNamespace, withHostNetwork, withLinuxNamespace, withUserNamespace } from './namespaces.ts';
import { applySpecOptions, type SpecOption } from './spec-option.ts';

const base = defaultSpec({ namespace: 'default', id: 'web' });

function linuxAfter(...options: SpecOption[]) {
  return applySpecOptions(base, ...options).linux;
}

describe('namespaces', () => {
  it('are joined in the place of new ones, or added', () => {
    const path = '/proc/1/ns/ipc';
    const joined = linuxAfter(
      withLinuxNamespace({ type: 'ipc', path }),
      withLinuxNamespace({ type: 'cgroup' }),
    );
    expect(joined?.namespaces).toEqual([
      { type: 'pid' },
      { type: 'ipc', path },
      { type: 'uts' },
      { type: 'mount' },
      { type: 'network' },
      { type: 'cgroup' },
    ]);
    expect(linuxAfter(withHostNamespace('pid'))?.namespaces?.map(({ type }) => type)).not.toContain('pid');
  });

  it("of the host's network come with its names", () => {
    const spec = withHostNetwork(base);
    expect(spec.linux?.namespaces?.map(({ type }) => type)).toEqual(['pid', 'ipc', 'uts', 'mount']);
    expect(spec.mounts?.slice(-2).map(({ source }) => source)).toEqual(['/etc/hosts', '/etc/resolv.conf']);
  });

  it('of users collect ranges', () => {
    const range = (containerID: number) => [{ containerID, hostID: 100000 + containerID, size: 10 }];
    const linux = linuxAfter(withUserNamespace(range(0), range(0)), withUserNamespace(range(10), []));
    expect(linux?.namespaces?.filter(({ type }) => type === 'user')).toHaveLength(1);
    expect(linux?.uidMappings).toEqual([...range(0), ...range(10)]);
    expect(linux?.gidMappings).toEqual(range(0));
  });
});
