import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import http, { type RequestListener } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { digestOf } from '@longshore/oci';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Header } from '@longshore/proto/headers';
import { BlobService } from '@longshore/proto/longshore/content/v1/blobs';
import { NO_TLS } from '@longshore/transport';
import { describe, expect, it, onTestFinished } from 'vitest';
import { served } from '../rpc/testing/served.ts';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { BlobCache } from './blob-cache.ts';
import { BlobSource } from './blob-source.ts';
import { BlobUrls } from './blob-urls.ts';

const BLOB = randomBytes(300_000);
const digest = digestOf(BLOB);
const options = { headers: { [Header.Namespace]: 'default' } };

interface Store {
  tls?: { cert: Buffer; key: Buffer };
  /** What nodes are told. */
  ca?: string;
  /** Cuts the answer after so many bytes; the URL has expired by then. */
  cutAfterBytes?: number;
}

/** An object store, and a content service that gives its URLs to a node without certificates. */
async function start({ tls, ca = '', cutAfterBytes }: Store) {
  const requests: string[] = [];
  const answer: RequestListener = (request, response) => {
    const { range } = request.headers;
    requests.push(`${request.url} ${range ?? 'all'}`);
    const begin = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    if (cutAfterBytes === undefined || request.url === '/2') {
      response.writeHead(begin > 0 ? 206 : 200).end(BLOB.subarray(begin));
    } else if (begin === 0) {
      response.writeHead(200);
      response.write(BLOB.subarray(0, cutAfterBytes), () => response.destroy());
    } else {
      response.writeHead(403).end();
    }
  };
  const server = tls ? https.createServer(tls, answer) : http.createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let [reads, locates] = [0, 0];
  const content = await served(Content, {
    async *read({ offset }) {
      reads += 1;
      yield { data: BLOB.subarray(Number(offset)) };
    },
  });
  const blobs = await served(BlobService, {
    locate: async () => {
      const place = { url: `${base}/${++locates}`, objectStore: { ca } };
      return { size: BigInt(BLOB.length), place };
    },
  });
  const urls = new BlobUrls(NO_TLS);
  const cache = await BlobCache.open(join(await scratchDirectory(), 'cache'), 1 << 20);
  onTestFinished(async () => {
    await urls.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const source = new BlobSource({ blobs, content, cache, urls });
  const read = async () => {
    const opened = await source.open(await source.locate(digest, options), options);
    const file = opened.source();
    if (file instanceof Readable) return buffer(file);
    return readFile(typeof file === 'string' ? file : file.path);
  };
  return { read, requests, reads: () => reads };
}

/** A certificate for 127.0.0.1 that vouches for itself. */
async function certified() {
  const directory = await scratchDirectory();
  const [cert, key] = [join(directory, 'cert'), join(directory, 'key')];
  const names = ['-subj', '/CN=store', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...curve, ...names, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  });
  return { tls: { cert: readFileSync(cert), key: readFileSync(key) }, ca: readFileSync(cert, 'utf8') };
}

describe('a URL of an object store', () => {
  it('is read by HTTP, where the operator chose so', async () => {
    const { read, requests, reads } = await start({});
    expect((await read()).equals(BLOB)).toBe(true);
    expect([requests, reads()]).toEqual([['/1 all'], 0]);
  });

  it('is read by HTTPS only from a server that somebody vouches for', async () => {
    const { tls, ca } = await certified();
    const stranger = await start({ tls });
    expect((await stranger.read()).equals(BLOB)).toBe(true);
    expect([stranger.requests, stranger.reads()]).toEqual([[], 1]);
    const known = await start({ tls, ca });
    expect((await known.read()).equals(BLOB)).toBe(true);
    expect([known.requests, known.reads()]).toEqual([['/1 all'], 0]);
  });

  it('is had anew when it has expired while it was in use', async () => {
    const { read, requests, reads } = await start({ cutAfterBytes: 100_000 });
    expect((await read()).equals(BLOB)).toBe(true);
    expect(requests.map((line) => line.replace(/bytes=[1-9]\d*-/, 'rest'))).toEqual([
      '/1 all',
      '/1 rest',
      '/2 rest',
    ]);
    expect(reads()).toBe(0);
  });
});
