import { describe, expect, it } from 'vitest';
import { formatReference, parseReference } from './reference.ts';

const DIGEST = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

describe('parseReference', () => {
  it.each([
    ['docker.io/library/redis:7', 'docker.io', 'library/redis', '7', '', 'docker.io/library/redis'],
    ['docker.io/library/redis', 'docker.io', 'library/redis', '', '', 'docker.io/library/redis'],
    [
      `docker.io/library/redis@${DIGEST}`,
      'docker.io',
      'library/redis',
      '',
      DIGEST,
      'docker.io/library/redis',
    ],
    [
      `docker.io/library/redis:7@${DIGEST}`,
      'docker.io',
      'library/redis',
      '7',
      DIGEST,
      'docker.io/library/redis',
    ],
    ['localhost:5000/a/b/c:1.0', 'localhost:5000', 'a/b/c', '1.0', '', 'localhost:5000/a/b/c'],
    ['127.0.0.1:5000/x:y', '127.0.0.1:5000', 'x', 'y', '', '127.0.0.1:5000/x'],
    ['[::1]:5000/x:y', '[::1]:5000', 'x', 'y', '', '[::1]:5000/x'],
    [
      'xn--7o8h.com/myimage:xn--7o8h.com@sha512:fff',
      'xn--7o8h.com',
      'myimage',
      'xn--7o8h.com',
      'sha512:fff',
      'xn--7o8h.com/myimage',
    ],
    ['redis', 'redis', '', '', '', 'redis'],
  ])('%s', (text, host, repository, tag, digest, locator) => {
    const reference = parseReference(text);
    expect(reference).toMatchObject({ host, repository, tag, digest, locator });
    expect(formatReference(reference)).toBe(text);
  });

  it('joins a path with needless slashes', () => {
    expect(parseReference('redis/').locator).toBe('redis');
    expect(parseReference('docker.io//a//b:1').locator).toBe('docker.io/a/b');
  });

  it.each([
    ['https://docker.io/redis', 'invalid reference'],
    ['', 'hostname required'],
    ['/redis:7', 'hostname required'],
    ['docker.io/../evil.example/redis', 'invalid reference'],
    ['a b/redis', 'invalid reference'],
    ['redis:latest', 'invalid reference'],
    ['user@host/redis', 'invalid reference'],
  ])('refuses %j: %s', (text, problem) => {
    expect(() => parseReference(text)).toThrow(
      `reference ${JSON.stringify(text)}: ${problem}: invalid argument`,
    );
  });
});
