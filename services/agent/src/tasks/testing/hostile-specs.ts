export interface HostileSpec {
  /** Members that are other than in a plain spec, by path: `process.args.0`; one past the end of a list is added. */
  set?: Record<string, unknown>;
  /** Changes the text of the spec in a way that no value can express. */
  write?: (text: string) => string;
  /** Of the create's request. */
  io?: object;
  /** What the create or the start says, as `<kind>: <message>`; or how its process ends. */
  said: RegExp;
}

const MIB = 1024 ** 2;
const NUL = 'a\0b';
/** The directory that the rootfs is mounted from. */
export const IMAGE = '<image>';

const RUNS = /^exit 0$/;
/** runc was about to become the program, and could not; its words are on the container's stderr. */
const NOT_STARTED = /^exit 1$/;
const NOT_JSON = /^InvalidArgument: spec is no JSON document: /;
/** What Go says of a value of another type. */
const TYPED = /^Unknown: .*json: cannot unmarshal /;
const byShim = (words: string) => new RegExp(`^Unknown: failed to create shim task: .*${words}`, 's');
const byRunc = (words: string) => byShim(`OCI runtime create failed: runc create failed: .*${words}`);

const inFront = (member: string) => (text: string) => text.replace('{', () => `{${member},`);
const nested = (levels: number) => inFront(`"x":${'['.repeat(levels)}${']'.repeat(levels)}`);
const coreLimit = (hard: string) => (text: string) =>
  text.replace('"process":{', `"process":{"rlimits":[{"type":"RLIMIT_CORE","hard":${hard},"soft":0}],`);

const badMounts = Array.from({ length: 100_000 }, (_, n) => {
  return { destination: `/m${n}`, type: 'bind', source: '/no/such', options: ['bind'] };
});

/** Specs that are huge, by what is huge in them. */
const HUGE: Record<string, HostileSpec> = {
  '15 MiB that mean nothing': { set: { x: 'y'.repeat(15 * MIB) }, said: RUNS },
  '14 MiB of numbers': { set: { x: new Array(7 * MIB).fill(1) }, said: RUNS },
  'an annotation of 1 MiB': { set: { annotations: { a: 'x'.repeat(MIB) } }, said: RUNS },
  'a group name of 1 MiB': {
    set: { annotations: { 'io.containerd.runc.v2.group': 'x'.repeat(MIB) } },
    said: RUNS,
  },
  '100,000 mounts': { set: { mounts: badMounts }, said: byRunc('/no/such') },
  'nested 10,001 deep': { write: nested(10_000), said: /^InvalidArgument: spec nests deeper than 10000/ },
  'nested 9,000 deep': { write: nested(8_999), said: RUNS },
  'an argument of 2 MiB': { set: { 'process.args.1': 'x'.repeat(2 * MIB) }, said: NOT_STARTED },
  '100,000 arguments': {
    set: { 'process.args': ['/bin/busybox', ...new Array(100_000).fill('x'.repeat(20))] },
    said: NOT_STARTED,
  },
  'an environment of 2 MiB': { set: { 'process.env.0': `A=${'x'.repeat(2 * MIB)}` }, said: NOT_STARTED },
  'a cgroup path that is too long': {
    set: { 'linux.cgroupsPath': '/x'.repeat(5_000) },
    said: /^InvalidArgument: spec: linux\.cgroupsPath has 10000 bytes, more than /,
  },
};

/** Specs that try for what is not theirs. */
const SLY: Record<string, HostileSpec> = {
  'keys in another case': {
    write: (text) => text.replace('"cgroupsPath"', '"CGROUPSPATH"'),
    said: /^InvalidArgument: spec: "linux\.CGROUPSPATH" must be linux\.cgroupsPath/,
  },
  'linux twice': {
    write: inFront('"linux":{"cgroupsPath":"/elsewhere"}'),
    said: /^InvalidArgument: spec: linux is there twice/,
  },
  'a cgroup path that leads out': { set: { 'linux.cgroupsPath': '/../../../../out/../out' }, said: RUNS },
  'a root outside of the bundle': { set: { 'root.path': IMAGE }, said: RUNS },
  'a root by a path that leads out': { set: { 'root.path': `${'../'.repeat(20)}${IMAGE}` }, said: RUNS },
  'a group ID that is a text': {
    set: { 'linux.gidMappings': [{ containerID: 0, hostID: 'x', size: 1 }] },
    said: /^InvalidArgument: spec: linux\.gidMappings: hostID is no group ID/,
  },
  'a group ID of 41 bits': {
    set: { 'linux.gidMappings': [{ containerID: 0, hostID: 2 ** 40, size: 1 }] },
    said: /^InvalidArgument: spec: linux\.gidMappings: hostID is no group ID/,
  },
  'a NUL in the cgroup path': {
    set: { 'linux.cgroupsPath': `/${NUL}` },
    said: /^InvalidArgument: spec: linux\.cgroupsPath has a NUL/,
  },
  'a NUL in an argument': { set: { 'process.args.1': NUL }, said: NOT_STARTED },
  'a NUL in the command': { set: { 'process.args.0': NUL }, said: byRunc('executable file not found') },
  'a NUL in the environment': {
    set: { 'process.env.0': `A=${NUL}` },
    said: byRunc(String.raw`can't contain null\(\\x00\)`),
  },
  'a NUL in the working directory': {
    set: { 'process.cwd': `/${NUL}` },
    said: byRunc('mkdir .*: invalid argument'),
  },
  'a NUL in the root path': {
    set: { 'root.path': NUL },
    said: byRunc('invalid rootfs: .*: invalid argument'),
  },
  'a NUL in a mount': {
    set: { 'mounts.3': { destination: `/${NUL}`, type: 'tmpfs', source: 'tmpfs' } },
    said: byRunc('mount field contains null byte'),
  },
  'a NUL in the path of its input': {
    io: { stdin: `/tmp/${NUL}`, stdout: '/dev/null' },
    said: byShim('failed to open stdin fifo .*: invalid argument'),
  },
  'a hook that fails': {
    set: { hooks: { createRuntime: [{ path: '/bin/false' }] } },
    said: byRunc('error running hook #0: .*exit status 1'),
  },
  'a hook that is not there': {
    set: { hooks: { prestart: [{ path: '/no/such' }] } },
    said: byRunc('error running hook #0: .*/no/such: no such file'),
  },
  'a hook that takes too long': {
    set: { hooks: { createRuntime: [{ path: '/bin/sleep', args: ['sleep', '1000'], timeout: 1 }] } },
    said: byRunc(String.raw`hook ran past specified timeout of 1\.0s`),
  },
};

/** Specs, and places of output, that contradict themselves or are none. */
const WRONG: Record<string, HostileSpec> = {
  'no arguments': { set: { 'process.args': [] }, said: byRunc('args must not be empty') },
  'a negative limit': { write: coreLimit('-1'), said: TYPED },
  'a limit of 65 bits': { write: coreLimit('18446744073709551616'), said: TYPED },
  'a limit of 64 bits': { write: coreLimit('18446744073709551615'), said: RUNS },
  'a limit that the kernel refuses': {
    set: { 'process.rlimits': [{ type: 'RLIMIT_NOFILE', hard: 2 ** 40, soft: 2 ** 40 }] },
    said: byRunc('error setting rlimit type 7: operation not permitted'),
  },
  'a terminal that the create does not know of': {
    set: { 'process.terminal': true },
    said: byRunc('cannot allocate tty'),
  },
  'a terminal that the spec does not know of': {
    io: { terminal: true, stdout: '/dev/null' },
    said: byRunc('cannot use console socket if runc will not detach or allocate tty'),
  },
  'a terminal and a file': {
    set: { 'process.terminal': true },
    io: { terminal: true, stdout: 'file:///dev/null' },
    said: byShim('failed to start console copy: .*no such file'),
  },
  'output by a scheme that there is not': {
    io: { stdout: 'nonsense://x' },
    said: byShim('unknown STDIO scheme nonsense'),
  },
  'output to a logger that is not there': {
    io: { stdout: 'binary:///no/such' },
    said: byShim('failed to start binary process: .*/no/such'),
  },
  'output below a directory that is not there': {
    io: { stdout: '/no/such/file' },
    said: byShim('opening file "/no/such/file" failed'),
  },
  'output to a directory': { io: { stdout: 'file:///tmp' }, said: byShim('/tmp: is a directory') },
  'cut JSON': { write: (text) => text.slice(0, -1), said: NOT_JSON },
  'a list': { write: () => '[]', said: /^InvalidArgument: spec is no JSON object/ },
  nothing: { write: () => '', said: NOT_JSON },
  'what is no text': { write: () => '\ufffd\ufffe', said: NOT_JSON },
  'an empty object': { write: () => '{}', said: byRunc('process property must not be empty') },
  'a process that is a list': { set: { process: [] }, said: TYPED },
  'arguments that are numbers': { set: { 'process.args': [1] }, said: TYPED },
  'annotations that are numbers': { set: { annotations: { a: 1 } }, said: TYPED },
  'a namespace that there is not': {
    set: { 'linux.namespaces.5': { type: 'space' } },
    said: byRunc('namespace .*space.* does not exist'),
  },
  'a namespace at a path that is none': {
    set: { 'linux.namespaces.4': { type: 'network', path: '/etc/passwd' } },
    said: byRunc('unable to start container process'),
  },
  'a version that nobody knows': { set: { ociVersion: '99.0.0-x' }, said: RUNS },
  'no version': { set: { ociVersion: undefined }, said: RUNS },
  'a device that is none': {
    set: { 'linux.devices': [{ path: '/dev/x', type: 'z', major: -1, minor: -1 }] },
    said: byRunc('invalid device type "z"'),
  },
};

export const HOSTILE_SPECS: Record<string, HostileSpec> = { ...HUGE, ...SLY, ...WRONG };

/** The text of a plain spec after what the case does to it. */
export function specText({ set = {}, write }: HostileSpec, plain: object, image: string): string {
  const spec = structuredClone(plain);
  for (const [path, value] of Object.entries(set)) setMember(spec, path.split('.'), inImage(value, image));
  const text = JSON.stringify(spec);
  return write ? write(text) : text;
}

function inImage(value: unknown, image: string): unknown {
  return typeof value === 'string' ? value.replace(IMAGE, image) : value;
}

function setMember(target: object, [name = '', ...rest]: string[], value: unknown): void {
  const members = target as Record<string, unknown>;
  if (rest.length > 0) setMember(members[name] as object, rest, value);
  else members[name] = value;
}
