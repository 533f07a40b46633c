import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { pushTestImages } from '../harness/images.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

let stack: Stack;
let busybox: string;
let http: string;
let token: string;
let n = 0;
let id: string;

beforeAll(async () => {
  stack = await startStack();
  busybox = (await pushTestImages(stack.registry)).busybox;
  await stack.ctr.ok(['image', 'pull', '--plain-http', busybox]);
  http = stack.services.addresses('gateway').http!;
  token = readFileSync(join(stack.root, 'gateway.token'), 'utf8').trim();
});
afterAll(() => stack?.close());

beforeEach(() => {
  n += 1;
  id = `http-${n}`;
});
afterEach(() => stack.ctr.removeContainers());

interface Wish {
  body?: object;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

function call(method: string, path: string, { body, headers, signal }: Wish = {}): Promise<Response> {
  return fetch(`${http}/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  });
}

// biome-ignore lint/suspicious/noExplicitAny: any JSON; what it holds is for the assertions to say.
async function json(method: string, path: string, body?: object, status = 200): Promise<any> {
  const response = await call(method, path, body && { body });
  const text = await response.text();
  expect({ status: response.status, text }).toMatchObject({ status });
  return text === '' ? undefined : JSON.parse(text);
}

interface SentEvent {
  id: string | undefined;
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  data: any;
}

async function* eventsOf(response: Response): AsyncGenerator<SentEvent> {
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  let rest = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const parts = `${rest}${chunk}`.split('\n\n');
    rest = parts.pop()!;
    for (const part of parts) {
      const fields = new Map(part.split('\n').map((line) => line.split(/: (.*)/s) as [string, string]));
      if (!fields.has('event')) continue;
      yield { id: fields.get('id'), event: fields.get('event')!, data: JSON.parse(fields.get('data')!) };
    }
  }
}

async function create(script: string): Promise<void> {
  await stack.ctr.ok(['container', 'create', '--', busybox, id, 'sh', '-c', script]);
}

describe('a task, over HTTP', () => {
  it('is made, started, followed, measured, paused, stopped and deleted', async () => {
    await create('trap "echo bye; exit 5" TERM; echo hello; echo oops >&2; sleep 100000 & wait');
    const made = await json('POST', `/containers/${id}/task`, { start: false });
    expect(made).toMatchObject({
      id,
      status: 'created',
      terminal: false,
      exit_status: null,
      exited_at: null,
    });
    const following = await call('GET', `/containers/${id}/logs?follow=true&timestamps=true`);
    expect(following.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(await json('POST', `/containers/${id}/task/start`)).toMatchObject({
      status: 'running',
      pid: made.pid,
    });
    expect(await json('GET', '/tasks')).toMatchObject({
      items: [{ id, node: made.node }],
      unreachable_nodes: [],
    });

    const stats = await json('GET', `/containers/${id}/task/stats`);
    expect(stats).toMatchObject({ cpu: { percent: null }, memory: { limit_bytes: null } });
    expect(stats.pids.current).toBeGreaterThan(0);
    expect(stats.memory.usage_bytes).toBeGreaterThan(0);
    expect((await json('GET', `/containers/${id}/task/pids`)).pids).toContain(made.pid);

    await json('POST', `/containers/${id}/task/pause`, undefined, 204);
    expect(await json('GET', `/containers/${id}/task`)).toMatchObject({ status: 'paused' });
    await json('POST', `/containers/${id}/task/resume`, undefined, 204);
    const waiting = json('GET', `/containers/${id}/task/wait`);
    const sampling = await call('GET', `/containers/${id}/task/stats/stream?interval_seconds=0.1`);
    const samples = eventsOf(sampling);
    expect((await samples.next()).value).toMatchObject({ event: 'stats', data: { cpu: { percent: null } } });
    expect((await samples.next()).value.data.cpu.percent).toEqual(expect.any(Number));

    const log = async () => (await call('GET', `/containers/${id}/logs`)).text();
    expect(await waitUntil(async () => (await log()).includes('hello'))).toBe(true);
    expect(await json('POST', `/containers/${id}/task/stop`, { signal: 'TERM' })).toMatchObject({
      exit_status: 5,
      killed: false,
    });
    expect(await waiting).toMatchObject({ exit_status: 5 });
    expect((await Array.fromAsync(samples)).at(-1)).toMatchObject({ event: 'ended' });
    const lines = (await following.text()).trimEnd().split('\n');
    expect(lines.map((line) => line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z /, '')).sort()).toEqual([
      'bye',
      'hello',
      'oops',
    ]);
    expect(await json('GET', `/containers/${id}/task`)).toMatchObject({ status: 'stopped', exit_status: 5 });
    expect(await json('DELETE', `/containers/${id}/task`)).toMatchObject({ exit_status: 5 });
    expect((await call('GET', `/containers/${id}/task`)).status).toBe(404);

    const bytes = await call('GET', `/containers/${id}/logs?stderr=true`);
    expect(await bytes.text()).toBe('oops\n');
    const asJson = await (await call('GET', `/containers/${id}/logs?format=ndjson&tail=1`)).text();
    expect(JSON.parse(asJson)).toMatchObject({ stream: 'stdout', text: 'bye\n' });
  });

  it("tells its log as events, which go on where a reader's last one was", async () => {
    await create('i=0; while [ $i -lt 30000 ]; do echo "line $i"; i=$((i+1)); done');
    await json('POST', `/containers/${id}/task`);
    const left = new AbortController();
    const path = `/containers/${id}/logs?follow=true&format=events`;
    const first = await call('GET', path, { signal: left.signal });
    let seen = '';
    let last: string | undefined;
    for await (const event of eventsOf(first)) {
      seen += event.data.text;
      last = event.id;
      if (seen.length > 1_000) break;
    }
    left.abort();
    const more = await call('GET', path, { headers: { 'last-event-id': last! } });
    for await (const { event, data } of eventsOf(more)) if (event === 'output') seen += data.text;
    expect(seen).toBe(Array.from({ length: 30_000 }, (_, i) => `line ${i}\n`).join(''));
  });

  it('runs a short command, and answers what it wrote', async () => {
    await create('sleep 100000');
    await json('POST', `/containers/${id}/task`);
    const args = ['sh', '-c', 'cat; echo oops >&2; exit 3'];
    expect(await json('POST', `/containers/${id}/exec`, { args, stdin: 'in\n', env: ['A=b'] })).toMatchObject(
      {
        exit_status: 3,
        stdout: 'in\n',
        stderr: 'oops\n',
        truncated: false,
        pid: expect.any(Number),
      },
    );
    const many = await json('POST', `/containers/${id}/exec`, {
      args: ['dd', 'if=/dev/zero', 'bs=1M', 'count=3'],
    });
    expect(many).toMatchObject({ exit_status: 0, truncated: true });
    expect(many.stdout.length).toBe(1024 ** 2);
    const late = { body: { args: ['sleep', '1000'], timeout_seconds: 0.2 } };
    expect((await call('POST', `/containers/${id}/exec`, late)).status).toBe(504);
    expect(
      await waitUntil(async () => (await json('GET', `/containers/${id}/task/pids`)).pids.length === 1),
    ).toBe(true);
    expect((await call('POST', `/containers/${id}/exec`, { body: { args: [] } })).status).toBe(400);
  });

  it('is refused what makes no sense, with the right status', async () => {
    await create('true');
    expect((await call('GET', `/containers/${id}/task`)).status).toBe(404);
    expect((await call('GET', '/containers/none/task')).status).toBe(404);
    expect((await call('GET', '/containers/a%2Fb/task')).status).toBe(400);
    expect((await call('GET', `/containers/${id}/task?node=none`)).status).toBe(404);
    expect((await call('GET', `/containers/${id}/logs`)).status).toBe(412);
    expect((await call('GET', `/containers/${id}/logs?since=yesterday`)).status).toBe(400);
    const kill = { body: { signal: 'SIGNOTHING' } };
    expect((await call('POST', `/containers/${id}/task/kill`, kill)).status).toBe(400);
  });
});

describe('run, over HTTP', () => {
  const body = () => ({ image: busybox, id, plain_http: true, entrypoint: [] });

  async function names(path: string): Promise<string[]> {
    const { items } = await json('GET', path);
    return items.map(({ id }: { id: string }) => id);
  }

  it('pulls what is missing, tells what happens, and removes the container', async () => {
    await stack.ctr.ok(['image', 'rm', '--sync', busybox]);
    const script = 'echo "$GREETING from $(hostname), $(id -u):$(id -g)"; exit 3';
    const more = {
      args: ['sh', '-c', script],
      env: { GREETING: 'hi' },
      user: 'app',
      hostname: 'there',
      rm: true,
    };
    const response = await call('POST', '/containers/run', { body: { ...body(), ...more } });
    const events = await Array.fromAsync(eventsOf(response));
    expect([...new Set(events.map(({ event }) => event))]).toEqual([
      'pull',
      'created',
      'started',
      'output',
      'exited',
      'removed',
    ]);
    const told = Object.fromEntries(events.map(({ event, data }) => [event, data]));
    expect(told).toMatchObject({
      created: { id, image: busybox },
      output: { stream: 'stdout', text: 'hi from there, 1000:1000\n' },
      exited: { exit_status: 3 },
    });
    expect(await names('/containers')).toEqual([]);
    expect(await stack.ctr.ok(['snapshot', 'ls'])).not.toContain(id);
  });

  it('goes on when it is detached, and when who follows it leaves', async () => {
    const detached = {
      ...body(),
      args: ['sleep', '100000'],
      detach: true,
      resources: { memory_bytes: 64 * 1024 ** 2, cpus: 0.5 },
    };
    expect(await json('POST', '/containers/run', detached, 201)).toMatchObject({
      id,
      pid: expect.any(Number),
    });
    expect((await json('GET', `/containers/${id}/task/stats`)).memory.limit_bytes).toBe(64 * 1024 ** 2);
    const other = `${id}-b`;
    const left = new AbortController();
    const followed = { ...body(), id: other, args: ['sh', '-c', 'echo on; sleep 100000'] };
    const response = await call('POST', '/containers/run', { body: followed, signal: left.signal });
    for await (const { event } of eventsOf(response)) if (event === 'output') break;
    left.abort();
    expect(await json('GET', `/containers/${other}/task`)).toMatchObject({ status: 'running' });
    expect(await (await call('GET', `/containers/${other}/logs`)).text()).toBe('on\n');
  });

  it('ends, and leaves nothing, when it was to be removed and who follows it leaves', async () => {
    const left = new AbortController();
    const followed = {
      ...body(),
      args: ['sh', '-c', 'trap "exit 0" TERM; echo on; sleep 100000 & wait'],
      rm: true,
    };
    const response = await call('POST', '/containers/run', { body: followed, signal: left.signal });
    for await (const { event } of eventsOf(response)) if (event === 'output') break;
    left.abort();
    await nothingIsLeft();
  });

  /** No container is left, nor a snapshot of this one. */
  async function nothingIsLeft(): Promise<void> {
    expect(await waitUntil(async () => (await names('/containers')).length === 0)).toBe(true);
    expect(await waitUntil(async () => !(await stack.ctr.ok(['snapshot', 'ls'])).includes(id))).toBe(true);
  }

  it('leaves the removal to its node, so that nobody has to stay for it', async () => {
    const detached = { ...body(), args: ['sleep', '100000'], rm: true, detach: true };
    await json('POST', '/containers/run', detached, 201);
    await json('POST', `/containers/${id}/task/kill`, { signal: 'SIGKILL' }, 204);
    await nothingIsLeft();
    const short = { ...body(), args: ['true'], rm: true, detach: true };
    await json('POST', '/containers/run', short, 201);
    await nothingIsLeft();
  });

  it('removes a container of which the gateway, and then the agent, was killed', async () => {
    const followed = { ...body(), args: ['sh', '-c', 'echo on; sleep 100000'], rm: true };
    const response = await call('POST', '/containers/run', { body: followed });
    let pid = 0;
    const events = eventsOf(response);
    for (let next = await events.next(); next.value?.event !== 'output'; next = await events.next()) {
      if (next.value?.event === 'started') pid = next.value.data.pid;
    }
    await stack.services.kill('gateway');
    await expect(events.next()).rejects.toThrow();
    await stack.services.whenReady('gateway');
    http = stack.services.addresses('gateway').http!;
    expect(await json('GET', `/containers/${id}/task`)).toMatchObject({ status: 'running', pid });
    await stack.services.stop('agent');
    process.kill(pid, 'SIGKILL');
    await stack.services.start('agent');
    await nothingIsLeft();
  });

  it('is told of the same container again, for the same key, and never runs a second one', async () => {
    const run = (key: string, more: object, signal?: AbortSignal) => {
      const headers = { 'idempotency-key': key };
      const wish = { body: { ...body(), id: undefined, ...more }, headers, ...(signal && { signal }) };
      return call('POST', '/containers/run', wish);
    };
    const detached = { args: ['sleep', '100000'], detach: true };
    const [first, second] = [await run('d', detached), await run('d', detached)];
    expect([first.status, second.status, second.headers.get('idempotency-replayed')]).toEqual([
      201,
      201,
      'true',
    ]);
    expect(second.headers.get('location')).toBe(first.headers.get('location'));
    const made = (await first.json()) as { id: string };
    expect(await second.json()).toEqual(made);
    expect((await run('d', { ...detached, args: ['true'] })).status).toBe(422);
    await json('DELETE', `/containers/${made.id}/task?force=true`);
    await json('DELETE', `/containers/${made.id}`);

    const once = { args: ['sh', '-c', 'cat /proc/sys/kernel/random/uuid; sleep 100000'], rm: true };
    const left = new AbortController();
    const seen: SentEvent[] = [];
    for await (const event of eventsOf(await run('s', once, left.signal))) {
      seen.push(event);
      if (event.event === 'output') break;
    }
    left.abort();
    const again: SentEvent[] = [];
    for await (const event of eventsOf(await run('s', once))) {
      again.push(event);
      if (event.event !== 'output') continue;
      await json('POST', `/containers/${again[0]!.data.id}/task/kill`, { signal: 'SIGKILL' }, 204);
    }
    expect(again.slice(0, 3)).toMatchObject(seen.slice(-3).map(({ event }) => ({ event })));
    for (const [n, { data }] of seen.slice(-3).entries()) {
      const { time: _, ...same } = data;
      expect(again[n]!.data).toMatchObject(same);
    }
    expect(again.slice(3).map(({ event }) => event)).toEqual(['exited', 'removed']);
    const last = await Array.fromAsync(eventsOf(await run('s', once)));
    expect(last.map(({ event }) => event)).toEqual(['created', 'started', 'removed']);
    // What has made nothing is tried anew.
    for (const _ of [1, 2]) {
      const failing = await run('f', { args: ['/no/such/program'] });
      if (failing.ok) expect((await Array.fromAsync(eventsOf(failing))).at(-1)?.event).toBe('problem');
      else expect(failing.headers.get('idempotency-replayed')).toBeNull();
    }
    expect(await names('/containers')).toEqual([]);
  });

  it('is refused what cannot be, and leaves nothing of it', async () => {
    const refused = async (more: object) =>
      (await call('POST', '/containers/run', { body: { ...body(), ...more } })).status;
    expect(await refused({ image: busybox.replace('busybox', 'none'), pull: 'never' })).toBe(412);
    expect(await refused({ unknown: true })).toBe(400);
    expect(await refused({ user: 'noone', pull: 'missing' })).toBe(404);
    expect(await refused({ rm: true, labels: { 'containerd.io/restart.status': 'running' } })).toBe(400);
    expect(await refused({ labels: { 'longshore.io/remove': 'soon' } })).toBe(400);
    expect(await refused({ id: 'a/b' })).toBe(400);
    expect(await refused({ platform: 'windows/amd64' })).toBe(400);
    expect(await refused({ platform: 'linux/no such' })).toBe(400);
    expect(await refused({ platform: 'linux/s390x', pull: 'never' })).toBe(412);
    expect(await refused({ pull: 'never' })).toBe(400);
    for (const more of [{ args: ['/no/such/program'] }, { image: busybox.replace('busybox', 'none') }]) {
      const response = await call('POST', '/containers/run', { body: { ...body(), ...more } });
      // By then the first event may have been sent.
      if (response.ok) expect((await Array.fromAsync(eventsOf(response))).at(-1)?.event).toBe('problem');
    }
    expect(await names('/containers')).toEqual([]);
  });
});

describe('events, over HTTP', () => {
  it('go on behind the last one that was seen, without a gap', async () => {
    const path = '/events?filter=topic~=tasks';
    const left = new AbortController();
    const seen: string[] = [];
    let last: string | undefined;
    const note = (event: SentEvent) => {
      last = event.id;
      // Those of earlier tests may come late.
      if (event.data.subject === id) seen.push(event.data.topic);
    };
    const first = eventsOf(await call('GET', path, { signal: left.signal }));
    note((await first.next()).value);
    await create('exit 4');
    await json('POST', `/containers/${id}/task`);
    for await (const event of first) {
      note(event);
      if (seen.length === 2) break;
    }
    left.abort();
    await json('GET', `/containers/${id}/task/wait`);
    await json('DELETE', `/containers/${id}/task`);
    const again = new AbortController();
    const more = await call('GET', path, { headers: { 'last-event-id': last! }, signal: again.signal });
    for await (const event of eventsOf(more)) {
      note(event);
      if (seen.at(-1) === '/tasks/delete') break;
    }
    again.abort();
    expect(seen).toEqual(['create', 'start', 'exit', 'delete'].map((what) => `/tasks/${what}`));
    const gone = await call('GET', path, { headers: { 'last-event-id': '999999999' } });
    expect(gone.status).toBe(416);
    expect((await call('GET', '/events?after=x')).status).toBe(400);
  });
});

describe('a watch, over HTTP', () => {
  it('lists what there is, tells each change, and goes on after a cut', async () => {
    const path = '/watch?kind=containers';
    await create('exit 4');
    const left = new AbortController();
    const first = eventsOf(await call('GET', path, { signal: left.signal }));
    const begun: SentEvent[] = [];
    for await (const event of first) {
      begun.push(event);
      if (event.event === 'synced') break;
    }
    left.abort();
    expect(begun.map(({ event }) => event)).toEqual(['reset', 'listed', 'synced']);
    expect(begun[1]?.data).toMatchObject({ name: id, object: { id, status: 'none' } });
    await json('POST', `/containers/${id}/task`);
    await json('GET', `/containers/${id}/task/wait`);
    await json('DELETE', `/containers/${id}/task`);
    await json('DELETE', `/containers/${id}`);
    const again = new AbortController();
    const headers = { 'last-event-id': begun[2]!.id! };
    const seen: string[] = [];
    const more = await call('GET', path, { headers, signal: again.signal });
    for await (const { event, data } of eventsOf(more)) {
      // Those of earlier tests may come late.
      if (event === 'synced' || data.name === id) seen.push(event);
      // As things are by now: of a container that is gone, each event tells just that.
      if (seen.length === 5) break;
    }
    again.abort();
    expect(seen).toEqual(['synced', 'removed', 'removed', 'removed', 'removed']);
    const late = new AbortController();
    const lost = await call('GET', path, { headers: { 'last-event-id': '999999999' }, signal: late.signal });
    expect((await eventsOf(lost).next()).value).toMatchObject({ event: 'reset' });
    late.abort();
  });
});

describe('a watch of tasks', () => {
  it('lists them, tells each change with the task as it is, and goes on after a cut', async () => {
    const path = '/watch?kind=tasks';
    await create('sleep 100000');
    const made = await json('POST', `/containers/${id}/task`, { start: false });
    const left = new AbortController();
    let last = '';
    const seen: SentEvent[] = [];
    for await (const event of eventsOf(await call('GET', path, { signal: left.signal }))) {
      if (event.event !== 'reset' && event.event !== 'synced' && event.data.name !== id) continue;
      seen.push(event);
      if (event.event === 'synced') await json('POST', `/containers/${id}/task/start`);
      if (event.data.object?.status !== 'running') continue;
      last = event.id!;
      break;
    }
    left.abort();
    expect(seen.slice(0, 3)).toMatchObject([
      { event: 'reset' },
      { event: 'listed', data: { node: made.node, object: { id, status: 'created', pid: made.pid } } },
      { event: 'synced', data: { unreachable_nodes: [] } },
    ]);
    await json('DELETE', `/containers/${id}/task?force=true`);
    const again = new AbortController();
    const headers = { 'last-event-id': last };
    const rest: string[] = [];
    for await (const { event, data } of eventsOf(
      await call('GET', path, { headers, signal: again.signal }),
    )) {
      if (event === 'synced' || data.name === id) rest.push(event);
      // Its exit and its deletion; of a task that is gone, each tells just that.
      if (rest.length === 3) break;
    }
    again.abort();
    expect(rest).toEqual(['synced', 'removed', 'removed']);
  });
});

/** What a client of our protocol does. */
class Talk {
  readonly socket: WebSocket;
  /** The messages of channel 3. */
  // biome-ignore lint/suspicious/noExplicitAny: any JSON; what it holds is for the assertions to say.
  readonly told: any[] = [];
  readonly output = { 1: '', 2: '' };
  readonly closed: Promise<number>;

  constructor(path: string, options: { protocols?: string[]; headers?: Record<string, string> } = {}) {
    const { protocols = ['v1.channel.longshore.io'], headers = { authorization: `Bearer ${token}` } } =
      options;
    this.socket = new WebSocket(`${http.replace('http', 'ws')}/v1${path}`, protocols, { headers });
    this.socket.on('message', (data: Buffer) => {
      const channel = data[0] as 1 | 2 | 3;
      const text = data.subarray(1).toString();
      if (channel === 3) this.told.push(JSON.parse(text));
      else this.output[channel] += text;
    });
    this.closed = new Promise((resolve, reject) => {
      this.socket.on('close', resolve);
      this.socket.on('error', reject);
      this.socket.on('unexpected-response', (request, response) => {
        resolve(response.statusCode!);
        request.destroy();
      });
    });
  }

  say(channel: number, text: string | number[]): void {
    const rest = typeof text === 'string' ? Buffer.from(text) : Buffer.from(text);
    this.socket.send(Buffer.concat([Buffer.from([channel]), rest]));
  }

  async until(condition: () => boolean): Promise<void> {
    if (await waitUntil(condition)) return;
    throw new Error(`not said: ${JSON.stringify({ told: this.told, output: this.output })}`);
  }
}

describe('a process, over a WebSocket', () => {
  const query = (args: string[], more = '') =>
    `?${args.map((arg) => `args=${encodeURIComponent(arg)}`).join('&')}${more}`;

  beforeEach(async () => {
    await create(
      'trap "exit 7" TERM; echo begun; while read -r line; do echo "got $line"; done; sleep 100000 & wait',
    );
    await json('POST', `/containers/${id}/task`, { stdin: true });
  });

  it('reads its input to the end, and is heard to the end', async () => {
    const talk = new Talk(
      `/containers/${id}/exec${query(['sh', '-c', 'cat; echo oops >&2; exit 3'], '&stdin=true')}`,
    );
    await talk.until(() => talk.told.length > 0);
    expect(talk.told[0]).toMatchObject({ type: 'started', terminal: false, exec_id: expect.any(String) });
    const megabytes = 'x'.repeat(512 * 1024);
    for (let n = 0; n < 8; n++) talk.say(0, megabytes);
    talk.say(255, [0]);
    const code = await talk.closed;
    expect(`${code} ${JSON.stringify(talk.told.at(-1))}`).toMatch(/^1000 /);
    expect(talk.output[1].length).toBe(8 * megabytes.length);
    expect(talk.output[2]).toBe('oops\n');
    expect(talk.told.at(-1)).toMatchObject({ type: 'exit', exit_status: 3 });
    expect(talk.socket.protocol).toBe('v1.channel.longshore.io');
  });

  it('has a terminal that is resized, and is killed when its client leaves', async () => {
    const script = 'stty size; read -r _; stty size; sleep 100000';
    const path = `/containers/${id}/exec${query(['sh', '-c', script], '&stdin=true&terminal=true&width=80&height=24')}`;
    // As a browser has to.
    const protocols = [
      'v1.channel.longshore.io',
      `bearer.longshore.io.${Buffer.from(token).toString('base64url')}`,
    ];
    const talk = new Talk(path, { protocols, headers: { origin: http } });
    await talk.until(() => talk.output[1].includes('24 80'));
    talk.say(4, '{"width":100,"height":30}');
    talk.say(0, '\n');
    await talk.until(() => talk.output[1].includes('30 100'));
    expect(talk.socket.protocol).toBe('v1.channel.longshore.io');
    talk.socket.terminate();
    const isAlone = async () => (await json('GET', `/containers/${id}/task/pids`)).pids.length === 1;
    expect(await waitUntil(isAlone)).toBe(true);
  });

  it('is attached to, left, and attached to again, until it ends', async () => {
    const path = `/containers/${id}/attach?stdin=true&logs=true`;
    const first = new Talk(path);
    await first.until(() => first.output[1].includes('begun'));
    first.say(0, 'one\n');
    await first.until(() => first.output[1].includes('got one'));
    first.socket.terminate();
    const second = new Talk(path);
    await second.until(() => second.output[1] === 'begun\ngot one\n');
    second.say(255, [0]);
    await json('POST', `/containers/${id}/task/stop`);
    expect(await second.closed).toBe(1000);
    expect(second.told.at(-1)).toMatchObject({ type: 'exit', exit_status: 7 });
  });

  it('goes on for ever though who is attached never reads', async () => {
    await json('POST', `/containers/${id}/task/kill`, undefined, 204);
    await json('DELETE', `/containers/${id}/task?force=true`);
    await stack.ctr.removeContainers();
    await create('dd if=/dev/zero bs=1M count=100 2>/dev/null');
    await json('POST', `/containers/${id}/task`, { start: false });
    const talk = new Talk(`/containers/${id}/attach`);
    await talk.until(() => talk.told.length > 0);
    talk.socket.pause();
    await json('POST', `/containers/${id}/task/start`);
    expect(await json('GET', `/containers/${id}/task/wait`)).toMatchObject({ exit_status: 0 });
    talk.socket.terminate();
  });

  it('is refused to who has no token, comes from elsewhere, or speaks otherwise', async () => {
    const path = `/containers/${id}/exec${query(['true'])}`;
    const authorization = `Bearer ${token}`;
    expect(await new Talk(path, { headers: {} }).closed).toBe(401);
    expect(await new Talk(`${path}&token=${token}`, { headers: {} }).closed).toBe(401);
    expect(await new Talk(path, { headers: { authorization, origin: 'https://evil.example' } }).closed).toBe(
      403,
    );
    expect(await new Talk(path, { headers: { authorization, origin: 'null' } }).closed).toBe(403);
    expect(await new Talk(path, { protocols: ['v5.channel.k8s.io'] }).closed).toBe(400);
    expect(await new Talk(`/containers/none/exec${query(['true'])}`).closed).toBe(404);
    expect((await call('GET', path)).status).toBe(400);
    const talk = new Talk(`/containers/${id}/exec${query(['sleep', '1000'])}`);
    await talk.until(() => talk.told.length > 0);
    talk.socket.send('text');
    expect(await talk.closed).toBe(1008);
    expect(talk.told.at(-1)).toMatchObject({
      type: 'problem',
      problem: { status: 400, kind: 'InvalidArgument' },
    });
  });
});
