import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import type { ServerWritableStream } from '@grpc/grpc-js';
import {
  CertificateService,
  WatchRevocationsResponseSchema,
} from '@longshore/proto/longshore/runtime/v1/certificates';
import { Revocations } from '@longshore/transport';
import { scratchDirectory } from '@longshore/transport/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openChannel, serve, socketPath } from './testing/grpc-server.ts';
import { watchRevocations } from './watch-revocations.ts';

type Watcher = ServerWritableStream<unknown, unknown>;

/** For a machine that does other things too. */
const SLOW = { timeout: 20_000 };

const log = { warn: () => undefined };

/** An authority that tells its watchers what it is told to. */
async function startAuthority(path: string) {
  const watchers: Watcher[] = [];
  await serve(CertificateService, { WatchRevocations: (call: Watcher) => void watchers.push(call) }, path);
  return {
    watchers,
    tell: (serials: string[]) => {
      for (const call of watchers) call.write(create(WatchRevocationsResponseSchema, { serials }));
    },
  };
}

function watch(path: string, file?: string) {
  const revocations = new Revocations();
  const watching = watchRevocations(openChannel(`unix://${path}`), revocations, log, { file });
  onTestFinished(() => watching.close());
  return revocations;
}

describe('watchRevocations', () => {
  it('follows the whole list, and asks again when the stream ends', async () => {
    const path = socketPath();
    const authority = await startAuthority(path);
    const revocations = watch(path);
    await vi.waitFor(() => expect(authority.watchers).toHaveLength(1), SLOW);
    authority.tell(['0a', '0b']);
    await vi.waitFor(() => expect(revocations.serials).toEqual(['0a', '0b']), SLOW);
    authority.watchers.pop()?.end();
    await vi.waitFor(() => expect(authority.watchers).toHaveLength(1), SLOW);
    expect(revocations.has('0a')).toBe(true);
    authority.tell(['0b']);
    await vi.waitFor(() => expect(revocations.serials).toEqual(['0b']), SLOW);
  });

  it('begins with the last known list while nobody can be asked, and keeps it up to date', async () => {
    const path = socketPath();
    const file = join(scratchDirectory(), 'revoked');
    writeFileSync(file, 'aa\nbb\n');
    const revocations = watch(path, file);
    expect(revocations.serials).toEqual(['aa', 'bb']);
    const authority = await startAuthority(path);
    await vi.waitFor(() => expect(authority.watchers).toHaveLength(1), SLOW);
    authority.tell(['cc']);
    await vi.waitFor(() => expect(readFileSync(file, 'utf8')).toBe('cc\n'), SLOW);
    expect(readdirSync(dirname(file))).toEqual(['revoked']);
  });

  it('goes on when the list cannot be kept', async () => {
    const path = socketPath();
    const authority = await startAuthority(path);
    const revocations = watch(path, join(scratchDirectory(), 'missing', 'revoked'));
    await vi.waitFor(() => expect(authority.watchers).toHaveLength(1), SLOW);
    for (const serial of ['cc', 'dd']) {
      authority.tell([serial]);
      await vi.waitFor(() => expect(revocations.serials).toEqual([serial]), { timeout: 3_000 });
    }
    expect(authority.watchers).toHaveLength(1);
  });
});
