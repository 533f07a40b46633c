import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { digestOf } from '@longshore/oci';
import { checkServer, type TlsFiles } from '@longshore/transport';
import { TestAuthority } from '@longshore/transport/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ContentFixture, callOf, type Replica } from '../testing/content-fixture.ts';

const NODE = { node: 'n1' };

let directory: string;
let tls: TlsFiles;
let first: ContentFixture;
let second: Replica;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'longshore-blobs-'));
  tls = new TestAuthority(directory).issue('service/content');
  const env = {
    LONGSHORE_TLS_CERT: tls.tlsCert,
    LONGSHORE_TLS_KEY: tls.tlsKey,
    LONGSHORE_TLS_CA: tls.tlsCa,
    LONGSHORE_CONTENT_BLOBS_LISTEN: '127.0.0.1:0',
    LONGSHORE_CONTENT_GRACE_MS: '0',
    LONGSHORE_SHUTDOWN_TIMEOUT_MS: '500',
  };
  first = await ContentFixture.start(env);
  second = await first.replica();
});

afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await first.close();
  await rm(directory, { recursive: true });
});

/** As an agent asks: it trusts the fleet's authority and the name in the certificate, and shows none of its own. */
async function fetchUrl(
  url: string,
  headers: OutgoingHttpHeaders = {},
  method = 'GET',
): Promise<IncomingMessage> {
  const ca = await readFile(tls.tlsCa);
  const checkServerIdentity = checkServer({ expect: 'service/content' });
  const sent = request(url, { method, headers, ca, checkServerIdentity, agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response;
}

async function urlOf(digest: string, at: Pick<Replica, 'blobs'> = first): Promise<string> {
  const { place } = await at.blobs.locate({ digest }, callOf(NODE));
  expect(place?.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/blobs\/sha256:/);
  const lifetimeMs = Number(place?.urlExpiresAt?.seconds) * 1000 - Date.now();
  expect(lifetimeMs).toBeGreaterThan(14 * 60 * 1000);
  return place?.url ?? '';
}

async function statusOf(url: string, headers?: OutgoingHttpHeaders, method?: string): Promise<number> {
  const response = await fetchUrl(url, headers, method);
  await buffer(response);
  return response.statusCode ?? 0;
}

describe('BlobEndpoint', () => {
  it('answers the whole of a large blob', async () => {
    const bytes = randomBytes(3 * 1024 * 1024 + 7);
    const digest = await first.put(bytes, {}, NODE);
    const response = await fetchUrl(await urlOf(digest));
    expect(response.headers).toMatchObject({
      'content-length': String(bytes.byteLength),
      etag: `"${digest}"`,
      'accept-ranges': 'bytes',
    });
    expect(digestOf(await buffer(response))).toBe(digest);
  });

  it('answers a range, and what is left behind an offset', async () => {
    const url = await urlOf(await first.put('0123456789', {}, NODE));
    const range = await fetchUrl(url, { range: 'bytes=2-4' });
    expect(range.statusCode).toBe(206);
    expect(range.headers['content-range']).toBe('bytes 2-4/10');
    expect((await buffer(range)).toString()).toBe('234');
    const rest = await fetchUrl(url, { range: 'bytes=7-', 'if-range': range.headers.etag ?? '' });
    expect((await buffer(rest)).toString()).toBe('789');
    const changed = await fetchUrl(url, { range: 'bytes=7-', 'if-range': '"other"' });
    expect([changed.statusCode, (await buffer(changed)).byteLength]).toEqual([200, 10]);
    const behind = await fetchUrl(url, { range: 'bytes=10-' });
    expect([behind.statusCode, behind.headers['content-range']]).toEqual([416, 'bytes */10']);
  });

  it('says sizes without bytes on HEAD, and answers an empty blob', async () => {
    const url = await urlOf(await first.put('9876543210', {}, NODE));
    const head = await fetchUrl(url, {}, 'HEAD');
    expect([head.statusCode, head.headers['content-length']]).toEqual([200, '10']);
    expect((await buffer(head)).byteLength).toBe(0);
    expect(await statusOf(await urlOf(await first.put('', {}, NODE)))).toBe(200);
    expect(await statusOf(url, {}, 'PUT')).toBe(405);
  });

  it('takes no other signature, time, blob or place than those it has signed', async () => {
    const url = new URL(await urlOf(await first.put('signed', {}, NODE)));
    const other = new URL(await urlOf(await first.put('other', {}, NODE)));
    const altered = (change: (copy: URL) => void) => {
      const copy = new URL(url);
      change(copy);
      return statusOf(copy.href);
    };
    expect(await altered(() => undefined)).toBe(200);
    expect(await altered((copy) => copy.searchParams.set('expires', '9999999999'))).toBe(403);
    expect(await altered((copy) => copy.searchParams.set('signature', 'AAAA'))).toBe(403);
    expect(await altered((copy) => copy.searchParams.delete('signature'))).toBe(403);
    expect(
      await altered((copy) => {
        copy.pathname = other.pathname;
      }),
    ).toBe(403);
    expect(
      await altered((copy) => {
        copy.pathname = `/blobs/${digestOf('signed')}/../../etc`;
      }),
    ).toBe(404);
  });

  it('refuses a URL that has expired', async () => {
    await using brief = await first.replica({ LONGSHORE_CONTENT_LOCATE_MS: '1000' });
    const digest = await first.put('brief', {}, NODE);
    const { place } = await brief.blobs.locate({ digest }, callOf(NODE));
    expect(await statusOf(place?.url ?? '')).toBe(200);
    await vi.waitFor(async () => expect(await statusOf(place?.url ?? '')).toBe(403), 5000);
  });

  it('answers for what another replica has signed, also with a key that is new', async () => {
    const digest = await first.put('anywhere', {}, NODE);
    const port = new URL(await urlOf(digest, second)).port;
    const age = (span: string) =>
      first.pool.query(`UPDATE signing_keys SET created_at = created_at - interval '${span}'`);
    const elsewhere = async (at: Pick<Replica, 'blobs'>) => {
      const url = new URL(await urlOf(digest, at));
      url.port = port;
      return url.href;
    };
    await age('25 hours');
    // Has no keys yet, and finds that a new one is due, which does not sign at first.
    await using third = await first.replica();
    for (const at of [first, third]) expect(await statusOf(await elsewhere(at))).toBe(200);
    const { rowCount } = await first.pool.query('SELECT FROM signing_keys');
    expect(rowCount).toBe(2);
    await age('10 minutes');
    await using fourth = await first.replica();
    const url = await elsewhere(fourth);
    expect(new URL(url).search).not.toBe(new URL(await elsewhere(first)).search);
    await vi.waitFor(async () => expect(await statusOf(url)).toBe(200), 3000);
  });

  it('goes on with bytes whose content is deleted for as long as the URL is good', async () => {
    const digest = await first.put(randomUUID(), {}, NODE);
    const url = await urlOf(digest);
    await first.content.delete({ digest }, callOf(NODE));
    await vi.waitFor(async () => {
      const { rowCount } = await first.pool.query('SELECT FROM tombstones WHERE digest = $1', [digest]);
      expect(rowCount).toBe(1);
    });
    // Removes what is due, which this is not, though no other grace was asked for.
    await first.content.delete({ digest: await first.put('next', {}, NODE) }, callOf(NODE));
    expect(await statusOf(url)).toBe(200);
  });

  it('closes the file of a reader that goes away', async () => {
    const url = await urlOf(await first.put(randomBytes(8 * 1024 * 1024), {}, NODE));
    const response = await fetchUrl(url);
    await once(response, 'readable');
    const path = new URL(url).pathname.split('/').at(-1) ?? '';
    expect(await openFiles(path)).toBe(1);
    response.destroy();
    await vi.waitFor(async () => expect(await openFiles(path)).toBe(0));
  });
});

/** How many of this process's open files have the name. */
async function openFiles(name: string): Promise<number> {
  const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter((path) => path.endsWith(name)).length;
}
