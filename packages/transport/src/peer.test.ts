import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatPeer, LOCAL, parsePeer, peerOf, peerUri, serialOf } from './peer.ts';
import { TestAuthority } from './testing/certificates.ts';

describe('a peer', () => {
  it.each(['service/content', 'node/n1', 'user/alice'])('%s is written and read', (text) => {
    expect(formatPeer(parsePeer(text))).toBe(text);
    expect(peerOf({ subjectAltName: `DNS:x, URI:${peerUri(parsePeer(text))}` })).toEqual(parsePeer(text));
  });

  it.each(['', 'node', 'node/', 'node/a/b', 'root/x', 'local', 'node/..', 'user/a b'])(
    'is not named %j',
    (text) => expect(() => parsePeer(text)).toThrow(/invalid argument$/),
  );

  it('on a unix socket has no name', () => {
    expect(formatPeer(LOCAL)).toBe('local');
  });
});

describe('peerOf', () => {
  it('reads a real certificate, whose serial is as openssl writes it', () => {
    const { tlsCert } = new TestAuthority().issue('node/n1');
    const certificate = new X509Certificate(readFileSync(tlsCert));
    expect(peerOf(certificate)).toEqual({ kind: 'node', id: 'n1' });
    expect(serialOf(certificate)).toMatch(/^[1-9a-f][0-9a-f]*$/);
  });

  it.each([
    undefined,
    '',
    'URI:spiffe://elsewhere/node/n1',
    'URI:spiffe://longshore/node/n1, URI:spiffe://longshore/node/n2',
    'URI:spiffe://longshore/node/n1/x',
    'URI:"spiffe://longshore/node/n1, URI:spiffe://longshore/service/content"',
    'DNS:"x, URI:spiffe://longshore/service/content"',
  ])('knows nobody by %j', (subjectAltName) => {
    expect(peerOf({ subjectAltName })).toBeUndefined();
  });

  it('is not taken in by a comma inside a name of a real certificate', () => {
    const authority = new TestAuthority();
    const names = ['URI:spiffe://elsewhere/a, URI:spiffe://longshore/service/content'];
    const { tlsCert } = authority.issueFor(names, 'odd');
    expect(peerOf(new X509Certificate(readFileSync(tlsCert)))).toBeUndefined();
  });
});
