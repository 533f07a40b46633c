import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { newKeyPair } from './certificate-request.ts';
import { scratchDirectory } from './testing/scratch.ts';

function openssl(input: string, ...args: string[]): string {
  return execFileSync('openssl', args, { input, encoding: 'utf8', stdio: 'pipe' });
}

/** Everything but the signature, which no two requests have in common: between the two headers of the outermost parts. */
function signedPart(request: string): string {
  const bytes = Buffer.from(request.replaceAll(/-----.*?-----|\s/g, ''), 'base64');
  const [, lengthByte = 0, length] = bytes;
  expect([lengthByte, length]).toEqual([0x81, bytes.length - 3]);
  return bytes.subarray(3, 3 + 2 + bytes[4]!).toString('hex');
}

describe('a certificate request', () => {
  it('is the one that OpenSSL makes for the key, and signed by the key', async () => {
    const keyPath = join(scratchDirectory(), 'key');
    // Signatures differ in length.
    for (let n = 0; n < 8; n++) {
      const { privateKey, certificateRequest } = await newKeyPair();
      writeFileSync(keyPath, privateKey);
      const theirs = openssl('', 'req', '-new', '-key', keyPath, '-subj', '/CN=longshore');
      expect(signedPart(certificateRequest)).toBe(signedPart(theirs));
      openssl(certificateRequest, 'req', '-verify', '-noout');
      expect(openssl(certificateRequest, 'req')).toBe(certificateRequest);
    }
  });
});
