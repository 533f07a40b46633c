import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { newKeyPair } from './certificate-request.ts';

function openssl(input: string, ...args: string[]): string {
  return execFileSync('openssl', args, { input, encoding: 'utf8', stdio: 'pipe' });
}

describe('a certificate request', () => {
  it('is of the key and signed by it, as OpenSSL reads it', async () => {
    const { privateKey, certificateRequest } = await newKeyPair();
    openssl(certificateRequest, 'req', '-verify', '-noout');
    expect(openssl(certificateRequest, 'req', '-noout', '-pubkey')).toBe(
      createPublicKey(privateKey).export({ format: 'pem', type: 'spki' }),
    );
    expect(openssl(certificateRequest, 'req', '-noout', '-subject')).toBe('subject=CN = longshore\n');
  });
});
