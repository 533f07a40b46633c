import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPool } from '@longshore/postgres';
import { createTestDatabase } from '@longshore/postgres/testing';
import { newKeyPair } from '@longshore/transport';
import { describe, expect, it, onTestFinished } from 'vitest';
import { prepareDatabase, SCHEMA } from '../database.ts';
import { CertificateRepository } from '../storage/postgres/certificate-repository.ts';
import { CertificateAuthority } from './certificate-authority.ts';
import { Issuer } from './issuer.ts';

const DAY_MS = 86_400_000;
const LIFETIMES = { nodeCertificateTtlMs: DAY_MS, certificateTtlMs: DAY_MS };

function scratch(): string {
  const path = mkdtempSync(join(tmpdir(), 'longshore-ca-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

async function issue(authority: CertificateAuthority) {
  const publicKey = await CertificateAuthority.publicKeyOf((await newKeyPair()).certificateRequest);
  return authority.issue({ kind: 'node', id: 'n1' }, publicKey, new Date(), DAY_MS);
}

function openssl(cwd: string, ...args: string[]): string {
  return execFileSync('openssl', args, { cwd, stdio: 'pipe', encoding: 'utf8' });
}

describe('CertificateAuthority', () => {
  it('is made once, however many replicas start on one directory', async () => {
    const directory = scratch();
    const opened = await Promise.all(Array.from({ length: 8 }, () => CertificateAuthority.open(directory)));
    expect(new Set(opened.map(({ fingerprint }) => fingerprint)).size).toBe(1);
    expect(readdirSync(directory).sort()).toEqual(['ca.crt', 'ca.key']);
    expect(statSync(join(directory, 'ca.key')).mode & 0o777).toBe(0o600);
    const again = await CertificateAuthority.open(directory);
    expect(again.fingerprint).toBe(opened[0]!.fingerprint);
  });

  it('issues for both ends, with the identity as a URI, and no longer than asked', async () => {
    const directory = scratch();
    const authority = await CertificateAuthority.open(directory);
    const issued = await issue(authority);
    const certificate = new X509Certificate(issued.chain);
    expect(certificate.subjectAltName).toBe('URI:spiffe://longshore/node/n1');
    expect(certificate.serialNumber.toLowerCase()).toBe(issued.serial);
    expect(certificate.ca).toBe(false);
    expect(Date.parse(certificate.validTo) - Date.now()).toBeLessThanOrEqual(DAY_MS);
    writeFileSync(join(directory, 'leaf.pem'), issued.chain);
    const verify = (purpose: string) =>
      openssl(directory, 'verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'ca.crt', 'leaf.pem');
    expect(verify('sslserver') + verify('sslclient')).toBe('leaf.pem: OK\nleaf.pem: OK\n');
  });

  it("takes an operator's intermediate of RSA, and sends it along", async () => {
    const directory = scratch();
    const root = [
      ...'req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=root'.split(' '),
      '-keyout',
      'root.key',
    ];
    openssl(directory, ...root, '-out', 'root.crt');
    const request = 'req -newkey rsa:2048 -nodes -subj /CN=fleet -keyout ca.key -out ca.csr';
    openssl(directory, ...request.split(' '));
    writeFileSync(
      join(directory, 'ext'),
      'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\nsubjectKeyIdentifier=hash\n',
    );
    const sign =
      'x509 -req -in ca.csr -CA root.crt -CAkey root.key -CAcreateserial -days 30 -extfile ext -out ca.crt';
    openssl(directory, ...sign.split(' '));
    await expect(CertificateAuthority.open(directory)).rejects.toThrow(
      /has no certificate of "CN=root"; want the chain up to its root/,
    );
    appendFileSync(join(directory, 'ca.crt'), readFileSync(join(directory, 'root.crt')));
    const authority = await CertificateAuthority.open(directory);
    const rootSha = new X509Certificate(readFileSync(join(directory, 'root.crt'))).fingerprint256;
    expect(authority.rootFingerprint.toString('hex')).toBe(rootSha.replaceAll(':', '').toLowerCase());
    const issued = await issue(authority);
    expect(issued.chain.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    writeFileSync(join(directory, 'leaf.pem'), issued.chain);
    const verified = openssl(
      directory,
      'verify',
      '-CAfile',
      'root.crt',
      '-untrusted',
      'leaf.pem',
      'leaf.pem',
    );
    expect(verified).toBe('leaf.pem: OK\n');
  });

  it('says what is wrong with its files', async () => {
    const directory = scratch();
    await CertificateAuthority.open(directory);
    rmSync(join(directory, 'ca.key'));
    await expect(CertificateAuthority.open(directory)).rejects.toThrow(/ca\.key: is missing/);
    const other = scratch();
    await CertificateAuthority.open(other);
    cpSync(join(other, 'ca.key'), join(directory, 'ca.key'));
    await expect(CertificateAuthority.open(directory)).rejects.toThrow(
      /no certificate in it belongs to ca\.key/,
    );
  });

  it.each([
    ['no request', /want PKCS #10 in PEM/],
    ['x'.repeat(20_000), /too long/],
  ])('refuses a request that is %.12s', async (request, message) => {
    await expect(CertificateAuthority.publicKeyOf(request)).rejects.toThrow(message);
  });
});

describe('Issuer', () => {
  it('refuses another authority than the fleet has, and takes a new one that keeps the old', async () => {
    const database = await createTestDatabase();
    onTestFinished(() => database.drop());
    await prepareDatabase(database.url);
    const pool = openPool({ url: database.url, schema: SCHEMA, size: 2 });
    onTestFinished(() => pool.end());
    const certificates = new CertificateRepository(pool);
    const [first, second] = [scratch(), scratch()];
    await Issuer.open(first, certificates, LIFETIMES);
    await expect(Issuer.open(second, certificates, LIFETIMES)).rejects.toThrow(
      /has the fingerprint [0-9a-f]{64}, the fleet's has [0-9a-f]{64}; copy ca\.crt and ca\.key from a replica/,
    );
    appendFileSync(join(second, 'ca.crt'), readFileSync(join(first, 'ca.crt')));
    const rotated = await Issuer.open(second, certificates, LIFETIMES);
    expect(rotated.authority.authorities.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    await expect(Issuer.open(first, certificates, LIFETIMES)).rejects.toThrow(/copy ca\.crt and ca\.key/);
  });
});
