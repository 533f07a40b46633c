import { once } from 'node:events';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupHierarchies } from '@longshore/linux';
import type { ImageConfig } from '@longshore/oci';
import {
  applySpecOptions,
  composeSpecOptions,
  DEFAULT_CAPABILITIES,
  defaultSpec,
  parseCapabilityMask,
  RLIM_INFINITY,
  readHostDevices,
  rootfsUserFiles,
  type SpecOption,
  withAddedCapabilities,
  withAmbientCapabilities,
  withCgroup,
  withDefaultSeccomp,
  withDefaultUnixDevices,
  withDevices,
  withDevShmSize,
  withDroppedCapabilities,
  withEnv,
  withHostNetwork,
  withHostname,
  withImageConfig,
  withLinuxDevices,
  withMaskedPaths,
  withMemoryLimit,
  withMounts,
  withOomScoreAdj,
  withPidsLimit,
  withProcessArgs,
  withProcessCwd,
  withRlimit,
  withRootfsReadonly,
  withSysctl,
  withUmask,
} from '@longshore/oci/runtime-spec';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RuncBundle } from './runtime-spec/runc-bundle.ts';

let bundle: RuncBundle;
let runs = 0;

beforeAll(async () => {
  bundle = await RuncBundle.open();
});
afterAll(() => bundle?.[Symbol.asyncDispose]());

function specOf(id: string, script: string, options: SpecOption[], user = '') {
  const image: ImageConfig = {
    os: 'linux',
    architecture: 'amd64',
    config: { Env: ['PATH=/bin'], Entrypoint: ['sh', '-c'], Cmd: [script], User: user },
    rootfs: { type: 'layers', diff_ids: [] },
  };
  return applySpecOptions(
    defaultSpec({ namespace: 'test', id }),
    withDefaultUnixDevices,
    withImageConfig(image, rootfsUserFiles(bundle.rootfs)),
    withCgroup(`${bundle.cgroupParent}/${id}`),
    ...options,
  );
}

/** What a script says in a container, on both streams; `user` is as in an image's config. */
async function say(script: string, options: SpecOption[] = [], user = ''): Promise<string> {
  const id = `run-${++runs}`;
  const { stdout, stderr } = await bundle.run(id, specOf(id, script, options, user));
  return stdout + stderr;
}

/** Util-linux' own, with what it loads. */
const hostPrograms = withMounts(
  ['/usr', '/lib', '/lib64']
    .filter((path) => existsSync(path))
    .map((path) => ({ destination: path, type: 'bind', source: path, options: ['rbind', 'ro'] })),
);

async function status(field: string, options: SpecOption[] = [], user = ''): Promise<string> {
  return (await say(`grep ^${field}: /proc/self/status | cut -f2`, options, user)).trim();
}

describe('runc runs a spec that the options made', () => {
  it("as the image's user, with the groups that list it", async () => {
    expect(await say('id -u; id -g; id -G', [], 'app')).toBe('1000\n1000\n1000 50\n');
    expect(await say('id -u; id -g', [withUmask(0o27)], 'nobody:staff')).toBe('65534\n50\n');
    expect(await say('umask', [withUmask(0o27)])).toBe('0027\n');
  });

  it('with its capabilities', async () => {
    const sorted = async (...args: Parameters<typeof status>) =>
      parseCapabilityMask(await status(...args)).toSorted();
    expect(await sorted('CapBnd')).toEqual(DEFAULT_CAPABILITIES.toSorted());
    const changed = [withDroppedCapabilities(['CAP_CHOWN']), withAddedCapabilities(['CAP_SYS_TIME'])];
    const expected = [...DEFAULT_CAPABILITIES.filter((name) => name !== 'CAP_CHOWN'), 'CAP_SYS_TIME'];
    expect(await sorted('CapEff', changed)).toEqual(expected.toSorted());
    expect(await say('chown 5 /tmp', changed)).toContain('Operation not permitted');
    const ambient = [withAmbientCapabilities(['CAP_NET_BIND_SERVICE'])];
    expect(await sorted('CapEff', ambient, 'app')).toEqual(['CAP_NET_BIND_SERVICE']);
  });

  it('behind the filter of system calls, by name and by argument', async () => {
    const script = 'unshare -U echo own; /usr/bin/setarch -R echo fixed; /usr/bin/setarch linux32 echo small';
    expect(await say(script, [hostPrograms])).toBe('own\nfixed\nsmall\n');
    const filtered = await say(script, [hostPrograms, withDefaultSeccomp()]);
    expect(filtered).toMatch(/unshare.*Operation not permitted/);
    expect(filtered).toMatch(/setarch.*Operation not permitted/);
    expect(filtered).not.toMatch(/own|fixed/);
    expect(filtered).toContain('small\n');
    expect(await status('Seccomp', [withDefaultSeccomp()])).toBe('2');
    // The filter follows the capabilities.
    const admin = [withAddedCapabilities(['CAP_SYS_ADMIN']), withDefaultSeccomp()];
    expect(await say('unshare -U echo own', admin)).toBe('own\n');
  });

  it('with its limits', async () => {
    const limits = [withRlimit('RLIMIT_NOFILE', 123, 456), withRlimit('RLIMIT_CORE', 0, RLIM_INFINITY)];
    const said = await say('ulimit -n; ulimit -Hn; ulimit -c; ulimit -Hc', limits);
    expect(said).toBe('123\n456\n0\nunlimited\n');
    expect(await say('cat /proc/self/oom_score_adj', [withOomScoreAdj(321)])).toBe('321\n');
  });

  it('without new privileges, with masked and read-only paths', async () => {
    expect(await status('NoNewPrivs')).toBe('1');
    const script = 'head -c 5 /proc/timer_list; echo 1 > /proc/sys/vm/drop_caches';
    expect(await say(script)).toMatch(/^sh: .*Read-only file system\n$/);
    expect(await say('head -c 5 /proc/timer_list', [withMaskedPaths([])])).toBe('Timer');
  });

  it('in its directory, with its variables, name, parameters and mounts', async () => {
    const options = [
      withProcessCwd('/home'),
      withEnv(['A=1']),
      withHostname('webserver'),
      withSysctl({ 'net.ipv4.ip_forward': '1' }),
      withDevShmSize(1024),
      withRootfsReadonly,
      withMounts([{ destination: '/mnt', type: 'tmpfs', source: 'tmpfs', options: ['size=64k'] }]),
    ];
    const script = [
      'pwd; echo $A; hostname; cat /proc/sys/net/ipv4/ip_forward',
      "df -k /dev/shm | awk 'END { print $2 }'",
      'touch /x; touch /mnt/x && echo mounted',
    ];
    const said = await say(script.join(';'), options);
    expect(said).toContain('/home\n1\nwebserver\n1\n1024\nmounted\n');
    expect(said).toContain('Read-only file system');
  });

  it("on the host's network, and on one of its own", async () => {
    const host = readlinkSync('/proc/self/ns/net');
    const said = await say('readlink /proc/self/ns/net; cat /etc/hosts', [withHostNetwork]);
    expect(said).toBe(`${host}\n${readFileSync('/etc/hosts', 'utf8')}`);
    expect(await say('readlink /proc/self/ns/net')).not.toBe(`${host}\n`);
  });

  it('with devices that it may use, and others that it may not', async () => {
    const devices = [
      withDevices(readHostDevices('/dev/zero', '/dev/nil'), 'r'),
      withLinuxDevices([{ path: '/dev/kmsg', type: 'c', major: 1, minor: 11, fileMode: 0o666 }]),
    ];
    const said = await say('head -c 3 /dev/nil | wc -c; head -c 1 /dev/kmsg', devices);
    expect(said).toMatch(/^3\n.*Operation not permitted/);
  });

  it('in its control group, with its limits', async () => {
    const limits = composeSpecOptions(withMemoryLimit(2 ** 25), withPidsLimit(77));
    const child = bundle.start('limited', specOf('limited', 'echo ready; cat', [limits]));
    await once(child.stdout!, 'data');
    const read = (...names: string[]) => {
      const paths = cgroupHierarchies().flatMap((root) =>
        names.map((name) => join(root, bundle.cgroupParent, 'limited', name)),
      );
      return readFileSync(paths.find((path) => existsSync(path))!, 'utf8').trim();
    };
    expect(read('memory.limit_in_bytes', 'memory.max')).toBe('33554432');
    expect(read('pids.max')).toBe('77');
    const ended = once(child, 'exit');
    child.stdin!.end();
    expect(await ended).toEqual([0, null]);
  });

  it('of the command that the caller gives', async () => {
    expect(await say('true', [withProcessArgs(['echo', 'a  b'])])).toBe('a  b\n');
  });
});
