import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@longshore/kit';
import { openPool, transaction } from '@longshore/postgres';
import { createTestDatabase } from '@longshore/postgres/testing';
import { type NamedPeer, newKeyPair, Revocations } from '@longshore/transport';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { IssuedCertificate } from '../authority/certificate-authority.ts';
import { Issuer } from '../authority/issuer.ts';
import { prepareDatabase, SCHEMA } from '../database.ts';
import { RevocationList } from '../revocation-list.ts';
import { CertificateRepository } from '../storage/postgres/certificate-repository.ts';
import { NodeRepository } from '../storage/postgres/node-repository.ts';
import { refusal } from '../testing/refusal.ts';
import { certificatesRpc } from './certificates-rpc.ts';

const DAY_MS = 86_400_000;
const IMAGE: NamedPeer = { kind: 'service', name: 'image' };
const log = createLogger('runtime', 'silent');

async function start() {
  const database = await createTestDatabase();
  await prepareDatabase(database.url);
  const pool = openPool({ url: database.url, schema: SCHEMA, size: 4 });
  const directory = mkdtempSync(join(tmpdir(), 'longshore-ca-'));
  onTestFinished(async () => {
    rmSync(directory, { recursive: true });
    await pool.end();
    await database.drop();
  });
  const certificates = new CertificateRepository(pool);
  const lifetimes = { nodeCertificateTtlMs: DAY_MS, certificateTtlMs: DAY_MS };
  const issuer = await Issuer.open(directory, certificates, lifetimes);
  return { pool, certificates, issuer };
}

/** A replica that has never heard of a revocation since its start. */
async function replicaOf({ pool, certificates, issuer }: Awaited<ReturnType<typeof start>>) {
  const revocations = await RevocationList.open(certificates, new Revocations(), log);
  revocations.close();
  const nodes = new NodeRepository(pool, () => []);
  const { signal: stopping } = new AbortController();
  const { renew } = certificatesRpc({ pool, issuer, certificates, nodes, revocations, stopping });
  return async (peer: NamedPeer, { serial }: Pick<IssuedCertificate, 'serial'>) => {
    const { certificateRequest } = await newKeyPair();
    return renew!({ certificateRequest } as never, { peer, certificateSerial: serial, log } as never);
  };
}

describe('a renewal', () => {
  it('is refused to a revoked certificate by a replica that has not heard of the revocation', async () => {
    const parts = await start();
    const renew = await replicaOf(parts);
    const { certificateRequest } = await newKeyPair();
    const issued = await parts.issuer.issue(IMAGE, certificateRequest);
    await renew(IMAGE, issued);
    await parts.certificates.revokeSerial(issued.serial);
    expect(await refusal(renew(IMAGE, issued))).toMatch(/^Unauthenticated: the certificate is revoked/);
  });

  it('that is under way when its identity is revoked leaves nothing that is good', async () => {
    const { pool, certificates } = await start();
    const notAfter = new Date(Date.now() + DAY_MS);
    await certificates.record({ serial: 'a1', identity: 'service/image', notAfter });
    const isDone = Promise.withResolvers<void>();
    const renewing = transaction(pool, async (tx) => {
      await certificates.requireGood(tx, 'service/image', 'a1');
      await certificates.record({ serial: 'a2', identity: 'service/image', notAfter }, tx);
      await isDone.promise;
    });
    const revoking = certificates.revokeIdentity('service/image');
    await vi.waitFor(async () => {
      const { rows } = await pool.query('SELECT FROM pg_locks WHERE NOT granted');
      expect(rows).toHaveLength(1);
    }, 5_000);
    isDone.resolve();
    await Promise.all([renewing, revoking]);
    expect(await certificates.revoked()).toEqual(['a1', 'a2']);
  });
});
