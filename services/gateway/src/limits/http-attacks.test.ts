import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { AuditTrail } from '../testing/audit-trail.ts';
import { GatewayFixture } from '../testing/gateway-fixture.ts';

const BODY_BYTES = 4096;
const STRIKES = 5;

let gateway: GatewayFixture;
let trail: AuditTrail;
/** Of an operator of the namespace `shop`. */
let shop: string;

beforeAll(async () => {
  gateway = await GatewayFixture.start({
    LONGSHORE_GATEWAY_HTTP_BODY_BYTES: String(BODY_BYTES),
    LONGSHORE_GATEWAY_REQUEST_TIMEOUT_MS: '400',
    LONGSHORE_GATEWAY_STRIKES_PER_SECOND: String(STRIKES),
    LONGSHORE_GATEWAY_UNREAD_TIMEOUT_MS: '500',
    LONGSHORE_GATEWAY_HTTP_ORIGINS: 'https://console.example',
  });
  trail = new AuditTrail(gateway.database.url);
  const answer = await gateway.send('POST', '/v1/tokens', { role: 'operator', namespace: 'shop' });
  shop = ((await answer.json()) as { secret: string }).secret;
});
beforeEach(() => {
  gateway.takeSeen();
});
afterAll(async () => {
  await trail.close();
  await gateway.close();
});

interface Asked {
  method?: string;
  token?: string;
  headers?: Record<string, string>;
  body?: string;
}

function ask(path: string, { method = 'POST', token = shop, headers = {}, body }: Asked): Promise<Response> {
  return fetch(`${gateway.http}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body }),
  });
}

/** Bytes as they are, on a connection of their own; answers what comes until it is closed. */
async function send(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(gateway.http).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let answer = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.write(bytes);
  await once(socket, 'close');
  return answer;
}

const head = (rest: string) =>
  `POST /v1/images/pull HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${shop}\r\ncontent-type: application/json\r\n${rest}`;

const PULL = '/v1/images/pull';
const VALID = { reference: 'redis:7', namespace: 'shop' };

describe('a body', () => {
  it.each([
    ['that is no JSON', '{"reference":', 400],
    ['that is empty', '', 400],
    ['that is no object', '[]', 400],
    ['with a field that is not known', JSON.stringify({ ...VALID, privileged: true }), 400],
    ['with a field of another type', JSON.stringify({ ...VALID, reference: 7 }), 400],
    ['that would change every object', `{"__proto__": {"namespace": "shop"}, "reference": "r"}`, 400],
    ['that is too large', JSON.stringify({ ...VALID, reference: 'x'.repeat(BODY_BYTES) }), 413],
  ])('%s is refused', async (_, body, status) => {
    const answer = await ask(PULL, { body });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(gateway.takeSeen()).toEqual([]);
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'of type %s, which a form of any page can send, is refused',
    async (type) => {
      const answer = await ask(PULL, { headers: { 'content-type': type }, body: JSON.stringify(VALID) });
      expect(answer.status).toBe(415);
    },
  );

  it('says what the rule goes by, whatever the query says', async () => {
    const theirs = JSON.stringify({ ...VALID, namespace: 'other' });
    expect((await ask(PULL, { body: theirs })).status).toBe(403);
    expect((await ask(`${PULL}?namespace=shop`, { body: theirs })).status).toBe(400);
    expect((await ask('/v1/images?namespace=shop&namespace=other', { method: 'GET' })).status).toBe(400);
    expect(gateway.takeSeen()).toEqual([]);
  });
});

describe('a name', () => {
  it.each(['..%2F..%2Fetc', '%2e%2e', 'a%00b', 'a%0d%0ab', encodeURIComponent('é'), 'x'.repeat(2000)])(
    '%s reaches nobody',
    async (name) => {
      const answer = await ask(`/v1/containers/${name}?namespace=shop&node=n1`, { method: 'DELETE' });
      expect([400, 404, 414]).toContain(answer.status);
      expect(gateway.takeSeen()).toEqual([]);
    },
  );
});

describe('a page of somebody else', () => {
  it.each([
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ origin: 'https://console.example' }, 400],
  ] as [Record<string, string>, number][])('with %j gets %i', async (headers, status) => {
    expect((await ask(PULL, { headers, body: '{}' })).status).toBe(status);
  });

  it('opens no WebSocket', async () => {
    const lines = [
      'GET /v1/containers/web/exec?namespace=shop&node=n1 HTTP/1.1',
      'host: x',
      'connection: upgrade, close',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      'sec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==',
      `authorization: Bearer ${shop}`,
      'origin: https://evil.example',
    ];
    expect(await send(`${lines.join('\r\n')}\r\n\r\n`)).toMatch(/^HTTP\/1.1 403 /);
    expect(gateway.takeSeen()).toEqual([]);
  });
});

describe('a request that does not come', () => {
  it.each([
    ['its head', 'POST /v1/images/pull HTTP/1.1\r\nhost: x\r\n'],
    ['its body', head('content-length: 100\r\n\r\n{')],
  ])('is given up, for want of %s', async (_, bytes) => {
    expect(await send(bytes)).toMatch(/^(HTTP\/1.1 4\d\d |$)/);
  });

  it.each([
    ['two lengths', head('content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}'), 400],
    ['a head without an end', head(`x: ${'y'.repeat(17_000)}\r\n\r\n`), 431],
    ['what is no HTTP', 'hello\r\n\r\n', 400],
  ])('%s is refused', async (_, bytes, status) => {
    expect(await send(bytes)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });
});

describe('strangers', () => {
  it('lose their connection when they go on, and are told by their real address', async () => {
    const request =
      'GET /v1/images HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 10.9.9.9\r\nx-request-id: eve\r\n\r\n';
    const answers = (await send(request.repeat(20 * STRIKES))).match(/HTTP\/1.1 401 /g) ?? [];
    expect(answers.length).toBeLessThan(20 * STRIKES);
    await expect
      .poll(async () => (await trail.refusals()).find(({ requestId }) => requestId === 'eve'))
      .toMatchObject({ caller: '', address: '127.0.0.1', error: 'Unauthenticated' });
  });

  it('and all that was refused here is in the audit log; the gateway goes on', async () => {
    expect((await ask('/v1/version', { method: 'GET' })).status).toBe(200);
    await expect
      .poll(async () => (await trail.refusals()).map(({ action, error }) => `${action} ${error}`.trim()))
      .toEqual(
        expect.arrayContaining([
          'POST /v1/images/pull InvalidArgument',
          'POST /v1/images/pull PermissionDenied',
          'GET /v1/images Unauthenticated',
          'InvalidArgument',
        ]),
      );
  });
});

describe('server-sent events that nobody reads', () => {
  it('are taken from their source no faster, and cut in the end', async () => {
    const { events } = gateway.backends;
    const sockets = [1, 2, 3].map(() => {
      const socket = connect(Number(new URL(gateway.http).port), '127.0.0.1').pause();
      onTestFinished(() => void socket.destroy());
      socket.on('error', () => undefined);
      socket.write(
        `GET /v1/events?namespace=shop HTTP/1.1\r\nhost: edge\r\nauthorization: Bearer ${shop}\r\n\r\n`,
      );
      return socket;
    });
    await expect.poll(() => events.subscribers).toBe(sockets.length);
    const [topic, all] = [`/${'long'.repeat(8_000)}`, 2_000];
    for (let n = 0; n < all; n++) events.publish('shop', topic);
    await expect.poll(() => events.subscribers).toBe(0);
    // What the kernel holds of two connections, and their windows: of 64 MB for each.
    expect(events.toldEvents / sockets.length).toBeLessThan(all / 2);
    expect((await ask('/v1/images?namespace=shop', { method: 'GET' })).status).toBe(200);
  });
});
