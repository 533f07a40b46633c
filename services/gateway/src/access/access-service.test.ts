import { defaultSpec } from '@longshore/oci/runtime-spec';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { AccessService, Role } from '@longshore/proto/longshore/access/v1/access';
import { AuditService, Result } from '@longshore/proto/longshore/audit/v1/audit';
import { EventService } from '@longshore/proto/longshore/events/v1/events';
import { createClient } from '@longshore/rpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuditTrail } from '../testing/audit-trail.ts';
import { GatewayFixture } from '../testing/gateway-fixture.ts';
import { refusal } from '../testing/refusal.ts';

let gateway: GatewayFixture;
/** Another replica, with the same database. */
let second: GatewayFixture;
let trail: AuditTrail;

beforeAll(async () => {
  gateway = await GatewayFixture.start();
  second = await GatewayFixture.start({ DATABASE_URL: gateway.database.url });
  trail = new AuditTrail(gateway.database.url);
});
afterAll(async () => {
  await trail?.close();
  await second?.close();
  await gateway?.close();
});

// biome-ignore lint/suspicious/noExplicitAny: any JSON; what it holds is for the assertions to say.
async function json(answer: Promise<Response>): Promise<any> {
  return (await answer).json();
}

async function newToken(role: string, namespace: string): Promise<{ id: string; secret: string }> {
  return json(gateway.send('POST', '/v1/tokens', { role, namespace, description: 'of a test' }));
}

function ask(secret: string, method: string, path: string, body?: object, at = gateway): Promise<Response> {
  const headers = { authorization: `Bearer ${secret}`, ...(body && { 'content-type': 'application/json' }) };
  return fetch(`${at.http}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
}

async function status(...args: Parameters<typeof ask>): Promise<number> {
  return (await ask(...args)).status;
}

describe('an API token', () => {
  it('is good for its role in its namespace, at every gateway at once', async () => {
    const { id, secret } = await newToken('viewer', 'team');
    for (const at of [second, gateway]) {
      expect(await status(secret, 'GET', '/v1/images?namespace=team', undefined, at)).toBe(200);
      expect(await status(secret, 'GET', '/v1/images?namespace=team-b', undefined, at)).toBe(403);
      expect(await status(secret, 'GET', '/v1/images', undefined, at)).toBe(403);
      expect(await status(secret, 'GET', '/v1/nodes', undefined, at)).toBe(403);
      expect(await status(secret, 'DELETE', '/v1/containers/x?namespace=team', undefined, at)).toBe(403);
    }
    const me = await json(ask(secret, 'GET', '/v1/whoami', undefined, second));
    expect(me).toEqual({
      name: `token/${id}`,
      groups: [],
      bindings: [{ subject: `token/${id}`, namespace: 'team', role: 'viewer' }],
      unrestricted: false,
    });
  });

  it('is worthless everywhere soon after it is revoked, or expired, or changed', async () => {
    const { id, secret } = await newToken('viewer', 'team');
    const whoami = (at: GatewayFixture, token = secret) => status(token, 'GET', '/v1/whoami', undefined, at);
    expect(await whoami(second)).toBe(200);
    expect(await whoami(second, `${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`)).toBe(401);
    expect((await gateway.send('DELETE', `/v1/tokens/${id}?namespace=team-b`)).status).toBe(404);
    expect((await gateway.send('DELETE', `/v1/tokens/${id}?namespace=team`)).status).toBe(204);
    expect(await whoami(gateway)).toBe(401);
    await expect.poll(() => whoami(second), { timeout: 15_000, interval: 200 }).toBe(401);
    const brief = await json(gateway.send('POST', '/v1/tokens', { role: 'viewer', ttl_seconds: 1 }));
    await expect.poll(() => whoami(gateway, brief.secret), { timeout: 15_000, interval: 200 }).toBe(401);
  });

  it('is kept as a hash alone', async () => {
    const { secret } = await newToken('viewer', 'team');
    const { items: tokens } = await json(gateway.get('/v1/tokens?namespace=*'));
    expect(JSON.stringify(tokens)).not.toContain(secret.slice(-40));
    expect(tokens[0]).toMatchObject({
      namespace: 'team',
      description: 'of a test',
      created_by: 'token/gateway',
    });
  });
});

describe("a namespace's admin", () => {
  it('decides about that namespace alone, and gives no host away', async () => {
    const { secret } = await newToken('admin', 'team');
    const bind = (namespace: string, role: string) =>
      status(secret, 'POST', '/v1/bindings', { subject: 'user/bob', namespace, role });
    expect(await bind('team', 'operator')).toBe(200);
    expect(await bind('other', 'viewer')).toBe(403);
    expect(await bind('*', 'viewer')).toBe(403);
    expect(await bind('team', 'host')).toBe(403);
    expect(await status(secret, 'POST', '/v1/tokens', { namespace: 'team', role: 'host' })).toBe(403);
    expect(await status(secret, 'POST', '/v1/tokens', { namespace: '*', role: 'viewer' })).toBe(403);
    expect(await status(secret, 'GET', '/v1/bindings?namespace=*')).toBe(403);
    const { items: bindings } = await json(ask(secret, 'GET', '/v1/bindings?namespace=team'));
    expect(bindings).toContainEqual(
      expect.objectContaining({ subject: 'user/bob', role: 'operator', namespace: 'team' }),
    );
    const gone = '/v1/bindings?namespace=team&subject=user/bob&role=operator';
    expect(await status(secret, 'DELETE', gone)).toBe(204);
    expect(await status(secret, 'DELETE', gone)).toBe(404);
  });

  it('cannot be asked for with what is no subject, namespace or role', async () => {
    const binding = { subject: 'user/bob', namespace: 'team', role: 'viewer' };
    for (const wrong of [{ subject: 'bob' }, { namespace: 'a b' }, { role: 'root' }]) {
      expect((await gateway.send('POST', '/v1/bindings', { ...binding, ...wrong })).status).toBe(400);
    }
    for (const wrong of [{ ttl_seconds: 0 }, { ttl_seconds: 1e9 }, { description: 'x'.repeat(300) }]) {
      expect((await gateway.send('POST', '/v1/tokens', { role: 'viewer', ...wrong })).status).toBe(400);
    }
  });
});

describe('the lists of tokens and bindings', () => {
  it('come in pages, of which none repeats or lacks anything', async () => {
    const made = await Promise.all([1, 2, 3].map(() => newToken('viewer', 'paged')));
    const access = createClient(AccessService, gateway.connect());
    const first = await json(gateway.get('/v1/tokens?namespace=paged&limit=2'));
    const rest = await json(gateway.get(`/v1/tokens?namespace=paged&limit=2&cursor=${first.next_cursor}`));
    expect([first.items.length, rest.items.length, rest.next_cursor]).toEqual([2, 1, null]);
    const ids = [...first.items, ...rest.items].map(({ id }: { id: string }) => id);
    expect(ids.toSorted()).toEqual(made.map(({ id }) => id).toSorted());
    const page = await access.listBindings({ namespace: 'paged', pageSize: 2 });
    const more = await access.listBindings({
      namespace: 'paged',
      pageSize: 2,
      pageToken: page.nextPageToken,
    });
    expect(more.nextPageToken).toBe('');
    expect([...page.bindings, ...more.bindings].map(({ subject }) => subject)).toEqual(
      made.map(({ id }) => `token/${id}`).toSorted(),
    );
    const wrong = { namespace: 'paged', pageToken: page.nextPageToken };
    expect(await refusal(access.listTokens(wrong))).toMatch(/^InvalidArgument: page token/);
    expect(await refusal(access.listTokens({ pageSize: 2000 }))).toMatch(/^InvalidArgument: page size/);
    expect((await gateway.get('/v1/bindings?cursor=x')).status).toBe(400);
  });
});

describe('the audit log', () => {
  it("is looked up by the admins of a namespace and of the fleet, each their own's", async () => {
    const { id, secret } = await newToken('admin', 'audited');
    const caller = `token/${id}`;
    expect(await status(secret, 'PUT', '/v1/quotas/audited', { stored_bytes: 1 })).toBe(403);
    expect(await status(secret, 'POST', '/v1/leases?namespace=other', {})).toBe(403);
    for (const role of ['viewer', 'operator']) {
      const body = { subject: 'user/bob', namespace: 'audited', role };
      expect(await status(secret, 'POST', '/v1/bindings', body)).toBe(200);
    }
    const find = async (query: string, as = secret) =>
      (await json(ask(as, 'GET', `/v1/audit?${query}`))).items?.map(
        ({ action, result, subject }: { action: string; result: string; subject: { role?: string } }) =>
          [result, action, subject.role].join(' ').trim(),
      );
    const bindings = ['ok POST /v1/bindings operator', 'ok POST /v1/bindings viewer'];
    await expect.poll(() => find('namespace=audited&action=POST /v1/bindings')).toEqual(bindings);
    expect(await find('namespace=*')).toBeUndefined();
    expect(await status(secret, 'GET', '/v1/audit?namespace=other')).toBe(403);
    expect(await find('namespace=audited&result=failed')).toEqual([]);
    await expect
      .poll(() => find(`namespace=*&caller=${caller}&result=refused`, gateway.token))
      .toEqual(expect.arrayContaining(['refused POST /v1/leases', 'refused PUT /v1/quotas/:namespace']));
    const first = await json(ask(secret, 'GET', '/v1/audit?namespace=audited&result=ok&until=0s&limit=1'));
    const rest = await json(
      ask(
        secret,
        'GET',
        `/v1/audit?namespace=audited&result=ok&until=0s&limit=1&cursor=${first.next_cursor}`,
      ),
    );
    expect(first.items[0]).toMatchObject({ caller, namespace: 'audited', count: 1, error: '' });
    expect(rest.items[0].id).not.toBe(first.items[0].id);
    expect(await status(secret, 'GET', '/v1/audit?namespace=audited&cursor=x')).toBe(400);

    const audit = createClient(AuditService, gateway.connect());
    const bearer = { headers: { authorization: `Bearer ${secret}` } };
    const { records } = await audit.list(
      { namespace: 'audited', action: 'POST /v1/bindings', since: { seconds: 1n }, result: Result.OK },
      bearer,
    );
    expect(records.map(({ record }) => record)).toMatchObject([
      { case: 'call', value: { caller, subject: { role: 'operator' } } },
      { case: 'call', value: { caller, subject: { role: 'viewer' } } },
    ]);
    for (const namespace of ['other', '', '*']) {
      expect(await refusal(audit.list({ namespace }, bearer))).toMatch(/^PermissionDenied/);
    }
    expect((await audit.list({ until: { seconds: 1n << 60n } })).records.length).toBeGreaterThan(0);
  });
});

describe('an operator without the role host', () => {
  it('makes no container over HTTP that would give it the host, by spec or by label', async () => {
    const { secret } = await newToken('operator', 'team');
    const of = (more: object) => ({ ...defaultSpec({ namespace: 'team', id: 'web' }), ...more });
    const create = async (body: object) =>
      (await json(ask(secret, 'POST', '/v1/containers?namespace=team&node=n1', body))).kind;
    expect(await create({ id: 'web', spec: of({ hooks: { prestart: [{ path: '/bin/sh' }] } }) })).toBe(
      'PermissionDenied',
    );
    expect(await create({ id: 'web', spec: of({}), runtime: '/bin/evil' })).toBe('PermissionDenied');
    const labels = { 'containerd.io/restart.loguri': 'binary:///bin/sh' };
    expect(await create({ id: 'web', spec: of({}), labels })).toBe('PermissionDenied');
    const path = '/v1/containers/web?namespace=team&node=n1';
    expect(await status(secret, 'PATCH', path, { labels })).toBe(403);
    // The stand-ins have no leases, which is what making one begins with.
    expect(await create({ id: 'web', spec: of({}) })).not.toBe('PermissionDenied');
  });
});

describe('AccessService', () => {
  it('does the same for callers of gRPC, by the namespace that the request names', async () => {
    const access = createClient(AccessService, gateway.connect());
    expect(await access.whoAmI({})).toMatchObject({ name: 'local', unrestricted: true });
    const { token, secret } = await access.createToken({ namespace: 'ns', role: Role.ADMIN });
    expect(secret).toMatch(/^lst_/);
    const subject = `token/${token!.id}`;
    expect((await access.listBindings({ namespace: 'ns' })).bindings).toMatchObject([
      { subject, namespace: 'ns', role: Role.ADMIN, createdBy: 'local' },
    ]);
    const bearer = { headers: { authorization: `Bearer ${secret}`, 'containerd-namespace': 'ns' } };
    const asToken = createClient(Images, gateway.connect());
    expect((await asToken.list({}, bearer)).images).toHaveLength(1);
    expect(await access.whoAmI({}, bearer)).toMatchObject({ name: subject, unrestricted: false });
    for (const namespace of ['other', '*', '']) {
      expect(
        await refusal(access.createBinding({ namespace, subject: 'user/x', role: Role.VIEWER }, bearer)),
      ).toBe(
        `PermissionDenied: ${subject} may not admin in ${namespace === 'other' ? 'namespace "other"' : 'the whole fleet'}: permission denied`,
      );
    }
    expect(
      await refusal(access.createBinding({ namespace: 'ns', subject: 'user/x', role: 9 as Role })),
    ).toMatch(/^InvalidArgument: role 9/);
    await access.revokeToken({ id: token!.id });
    expect(await refusal(asToken.list({}, bearer))).toBe(
      'Unauthenticated: the bearer token is not valid: unauthenticated',
    );
  });
});

describe('a call that lasts', () => {
  /** What comes of a stream, and how it ends. */
  function follow<T>(stream: AsyncIterable<T>, told: (item: T) => string) {
    const seen: string[] = [];
    const ended = refusal(
      (async () => {
        for await (const item of stream) seen.push(told(item));
      })(),
    );
    return { seen, ended: ended.then((error) => error.split(':')[0]) };
  }

  it('ends, at every gateway, when what it was let in by is taken away', async () => {
    const { id, secret } = await newToken('viewer', 'team');
    const { secret: bystanding } = await newToken('viewer', 'team');
    await gateway.bind(`token/${id}`, 'viewer', 'extra');
    const of = (namespace: string, token = secret) => ({
      headers: { authorization: `Bearer ${token}`, 'containerd-namespace': namespace },
    });
    const { events } = second.backends;
    const raw = createClient(EventService, second.connect());
    const [inTeam, inExtra, bystander] = [of('team'), of('extra'), of('team', bystanding)].map((options) =>
      follow(raw.subscribe({}, options), ({ event }) => event?.envelope?.topic ?? 'opened'),
    );
    const everywhere = follow(
      createClient(Events, second.connect()).subscribe({}, of('none')),
      ({ topic }) => topic,
    );
    const http = await ask(secret, 'GET', '/v1/events?namespace=team', undefined, second);
    const body = http.text();
    await expect.poll(() => events.seen.filter(({ at }) => at.includes('EventService')).length).toBe(5);
    for (const namespace of ['other', '_', 'team', 'extra']) events.publish(namespace, `/${namespace}/1`);
    await expect.poll(() => everywhere.seen).toEqual(['/team/1', '/extra/1']);
    await expect.poll(() => inExtra!.seen).toEqual(['opened', '/extra/1']);

    const unbind = `/v1/bindings?namespace=extra&role=viewer&subject=token/${id}`;
    expect((await gateway.send('DELETE', unbind)).status).toBe(204);
    expect(await inExtra!.ended).toBe('PermissionDenied');
    events.publish('extra', '/extra/2');
    events.publish('team', '/team/2');
    await expect.poll(() => everywhere.seen).toEqual(['/team/1', '/extra/1', '/team/2']);

    expect((await gateway.send('DELETE', `/v1/tokens/${id}`)).status).toBe(404);
    expect((await gateway.send('DELETE', `/v1/tokens/${id}?namespace=team`)).status).toBe(204);
    expect(await inTeam!.ended).toBe('Unauthenticated');
    expect(await everywhere.ended).toBe('Unauthenticated');
    expect((await body).split('\n\n').at(-2)).toMatch(/^event: problem\ndata: .*"kind":"Unauthenticated"/);
    events.publish('team', '/team/3');
    await expect.poll(() => bystander!.seen.at(-1)).toBe('/team/3');
    expect(await Promise.race([bystander!.ended, Promise.resolve('goes on')])).toBe('goes on');
    const refused = async () =>
      (await trail.refusals()).filter(({ caller }) => caller === `token/${id}`).map(({ action }) => action);
    await expect
      .poll(refused, { timeout: 15_000 })
      .toEqual(
        expect.arrayContaining([
          'longshore.events.v1.EventService/Subscribe',
          'containerd.services.events.v1.Events/Subscribe',
          'GET /v1/events',
        ]),
      );
  }, 60_000);

  it('is not begun by somebody without any role', async () => {
    const { id, secret } = await newToken('viewer', 'team');
    await gateway.send('DELETE', `/v1/bindings?namespace=team&role=viewer&subject=token/${id}`);
    const options = { headers: { authorization: `Bearer ${secret}` } };
    const stream = createClient(Events, gateway.connect()).subscribe({}, options);
    expect(await follow(stream, String).ended).toBe('PermissionDenied');
  });
});
