import { readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { TestAuthority } from './testing/certificates.ts';
import { TlsIdentity } from './tls-identity.ts';

function open(files: Parameters<typeof TlsIdentity.open>[0]) {
  const warnings: string[] = [];
  const identity = TlsIdentity.open(files, { warn: (_, message) => void warnings.push(message) });
  onTestFinished(() => identity.close());
  return { identity, warnings };
}

describe('TlsIdentity', () => {
  it('is one for all who use the same files', () => {
    const files = new TestAuthority().issue('service/content');
    expect(open(files).identity).toBe(open({ ...files }).identity);
  });

  it('takes up new files by itself', async () => {
    const authority = new TestAuthority();
    const files = authority.issue('service/content');
    const { identity } = open(files);
    const { context } = identity;
    const told = vi.fn();
    identity.onChange(told);
    authority.issue('service/content');
    await vi.waitFor(() => expect(told).toHaveBeenCalled());
    expect(identity.pems.cert).toEqual(readFileSync(files.tlsCert));
    expect(identity.context).not.toBe(context);
  });

  it('keeps the last good ones, and says so, while the key does not belong to the certificate', () => {
    const authority = new TestAuthority();
    const files = authority.issue('service/content');
    const { identity, warnings } = open(files);
    const { cert, key } = identity.pems;
    const next = authority.issue('service/image');
    renameSync(next.tlsKey, files.tlsKey);
    TlsIdentity.reload(files);
    TlsIdentity.reload(files);
    expect(identity.pems).toMatchObject({ cert, key });
    expect(warnings).toEqual(['new TLS files are no good']);
    renameSync(next.tlsCert, files.tlsCert);
    TlsIdentity.reload(files);
    expect(identity.pems.cert).toEqual(readFileSync(files.tlsCert));
  });

  it.each(['missing', 'empty', 'garbage', 'a link to itself'])(
    'keeps the last good ones while a file is %s',
    (how) => {
      const files = new TestAuthority().issue('service/content');
      const { identity, warnings } = open(files);
      const { ca } = identity.pems;
      if (how === 'missing') rmSync(files.tlsCa);
      else if (how === 'a link to itself') {
        rmSync(files.tlsCa);
        symlinkSync(files.tlsCa, files.tlsCa);
      } else writeFileSync(files.tlsCa, how === 'empty' ? '' : '-----BEGIN CERTIFICATE-----\nx\n');
      TlsIdentity.reload(files);
      expect(identity.pems.ca).toEqual(ca);
      expect(warnings).toHaveLength(1);
    },
  );

  it('does not open what does not fit', () => {
    const authority = new TestAuthority();
    const [files, other] = [authority.issue('service/content'), authority.issue('service/image')];
    expect(() => TlsIdentity.open({ ...files, tlsKey: other.tlsKey })).toThrow(/^TLS files: .*mismatch/);
    expect(() => TlsIdentity.open({ ...files, tlsCert: '/nowhere' })).toThrow(/^TLS files: ENOENT/);
  });
});
