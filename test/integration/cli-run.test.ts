import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pushTestImages } from '../harness/images.ts';
import { Longshore } from '../harness/longshore.ts';
import { type Stack, startStack } from '../harness/stack.ts';

const SIZE = { columns: 101, rows: 31 };

let stack: Stack;
let home: string;
let longshore: Longshore;
let busybox: string;

beforeAll(async () => {
  stack = await startStack();
  home = mkdtempSync(join(tmpdir(), 'longshore-home-'));
  busybox = (await pushTestImages(stack.registry)).busybox;
  longshore = new Longshore(stack.socket, home, { GREETING: 'from here' });
});
afterAll(async () => {
  await stack?.close();
  rmSync(home, { recursive: true, force: true });
});

const sh = (script: string) => [busybox, 'sh', '-c', script];
const until = (seen: () => unknown) => expect.poll(seen, { timeout: 20_000 });

describe('longshore run', () => {
  it('pulls what is missing, and ends as the process does, with what it wrote', async () => {
    const { code, stdout, stderr } = await longshore.run([
      'run',
      '--rm',
      ...sh('echo out; echo err >&2; exit 7'),
    ]);
    expect({ code, stdout }).toEqual({ code: 7, stdout: 'out\n' });
    expect(stderr).toContain('err\n');
    expect(stderr).toMatch(/transferr/);
    expect(await longshore.ok(['ps', '-aq'])).toBe('');
  });

  it('gives it input, environment, directory, user, limits, mounts and a name', async () => {
    writeFileSync(join(home, 'env'), '# comment\nFILE=yes\n');
    const data = join(home, 'data');
    mkdirSync(data, { recursive: true });
    writeFileSync(join(data, 'hello'), 'hi');
    const script =
      'cat; echo $A $FILE $GREETING; pwd; id -u; id -g; hostname; cat /data/hello; ' +
      'touch /data/x 2>/dev/null || echo " ro"; ulimit -n';
    const flags = [
      '-i',
      '-e',
      'A=b',
      '--env-file',
      join(home, 'env'),
      '-e',
      'GREETING',
      '-e',
      'NOWHERE',
      '-w',
      '/tmp',
    ];
    const more = [
      '-u',
      '1:1',
      '-h',
      'box',
      '-v',
      `${data}:/data:ro`,
      '-m',
      '64m',
      '--ulimit',
      'nofile=100:200',
    ];
    const out = await longshore.ok(['run', '--rm', ...flags, ...more, ...sh(script)], 'typed\n');
    expect(out.split('\n')).toEqual([
      'typed',
      'b yes from here',
      '/tmp',
      '1',
      '1',
      'box',
      'hi ro',
      '100',
      '',
    ]);
  });

  it('runs detached, with a log, an exit code to look up, and files that can be copied', async () => {
    const id = (
      await longshore.ok([
        'run',
        '-d',
        '--name',
        'kept',
        ...sh('echo begun; cat /etc/hostname; exec sleep 1000'),
      ])
    ).trim();
    expect(id).toBe('kept');
    await until(() => longshore.ok(['logs', 'kept'])).toContain('begun');
    const tree = join(home, 'tree');
    mkdirSync(join(tree, 'sub'), { recursive: true });
    writeFileSync(join(tree, 'sub/file'), 'copied');
    symlinkSync('sub/file', join(tree, 'link'));
    await longshore.ok(['cp', tree, 'kept:/tmp']);
    await longshore.ok(['cp', join(tree, 'sub/file'), 'kept:/tmp/renamed']);
    expect(await longshore.ok(['exec', 'kept', 'cat', '/tmp/tree/link', '/tmp/renamed'])).toBe(
      'copiedcopied',
    );
    await longshore.ok(['cp', 'kept:/tmp/tree/.', join(home, 'back')]);
    expect(readFileSync(join(home, 'back/sub/file'), 'utf8')).toBe('copied');
    const missing = await longshore.run(['cp', 'kept:/nothing', home]);
    expect(missing.code).not.toBe(0);
    expect(missing.stderr).toContain('nothing: No such file');
    await longshore.ok(['run', '-d', '--rm', '--name', 'brief', busybox, 'true']);
    await until(() => longshore.ok(['ps', '-aq'])).toBe('kept\n');
    await longshore.ok(['rm', '-f', 'kept']);
  });

  it('says what is wrong in the field’s words, with Docker’s exit codes, and leaves nothing', async () => {
    const code = async (...args: string[]) => (await longshore.run(['run', '--rm', ...args])).code;
    const cidfile = join(home, 'cid');
    expect(await code('--cidfile', cidfile, busybox, 'no-such-program')).toBe(127);
    expect(existsSync(cidfile)).toBe(false);
    expect(await code(busybox, '/etc')).toBe(126);
    expect(await code('--pull', 'never', 'no.such.invalid/image')).toBe(125);
    expect(await code('--memory', 'much', busybox)).toBe(2);
    expect(await code('-v', 'volume:/data', busybox)).toBe(2);
    expect(await code('-di', busybox)).toBe(2);
    expect(await longshore.ok(['ps', '-aq'])).toBe('');
  });

  it('of a container that has ended is done again by start, which stays with it', async () => {
    const script = 'read line; echo "got $line"; exit 4';
    expect(await longshore.run(['run', '--name', 'again', ...sh(script)])).toMatchObject({ code: 4 });
    const again = await longshore.run(['start', '-ai', 'again'], 'typed\n');
    // Not what the one before has written.
    expect(again).toEqual({ code: 4, stdout: 'got typed\n', stderr: '' });
    await longshore.ok(['rm', 'again']);
  });

  it('hands signals on', async () => {
    const child = longshore.start([
      'run',
      '--rm',
      ...sh('trap "echo got; exit 3" TERM; echo ready; while :; do sleep 0.1; done'),
    ]);
    let out = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    await until(() => out).toContain('ready');
    const exit = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    expect(await exit).toBe(3);
    expect(out).toContain('got');
  });
});

describe('a terminal', () => {
  it('has its size, passes keys, can be let go of, and come back to', async () => {
    using first = longshore.terminal(['run', '-it', '--rm', '--name', 'shell', busybox, 'sh'], SIZE);
    await until(() => first.seen).toContain('# ');
    first.type('stty size; echo s$((40+2))\r');
    await until(() => first.seen).toContain('s42');
    expect(first.seen).toContain('31 101');
    first.type('\x10\x11');
    expect(await first.exit).toBe(0);
    using second = longshore.terminal(['attach', 'shell'], { columns: 90, rows: 20 });
    // What is typed before it is there is nobody's.
    await until(() => {
      second.type('\r');
      return second.seen;
    }).toContain('# ');
    second.type('stty size\r');
    await until(() => second.seen).toContain('20 90');
    second.type('exit 5\r');
    expect(await second.exit).toBe(5);
    // Who ran it has let go of it long ago.
    await until(() => longshore.ok(['ps', '-aq'])).toBe('');
  });

  it('of exec is one of its own, and ctrl-C is the program’s', async () => {
    await longshore.ok(['run', '-d', '--name', 'host', busybox, 'sleep', '1000']);
    using terminal = longshore.terminal(['exec', '-it', '-e', 'A=b', 'host', 'sh'], SIZE);
    await until(() => terminal.seen).toContain('# ');
    terminal.type('stty size; echo $A; sleep 1000\r');
    await until(() => terminal.seen).toMatch(/31 101\s+b/);
    terminal.type('\x03');
    await until(() => terminal.seen).toMatch(/\^C\s+.*# /s);
    terminal.type('exit 4\r');
    expect(await terminal.exit).toBe(4);
    expect((await longshore.run(['exec', 'host', 'no-such-program'])).code).toBe(127);
    expect(await longshore.ok(['exec', '-u', '1:2', '-w', '/tmp', 'host', 'sh', '-c', 'id -g; pwd'])).toBe(
      '2\n/tmp\n',
    );
    expect(await longshore.ok(['exec', '-i', 'host', 'cat'], 'piped')).toBe('piped');
    await longshore.ok(['rm', '-f', 'host']);
  });
});
