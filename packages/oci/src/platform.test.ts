import { describe, expect, it } from 'vitest';
import {
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  parsePlatform,
  platformsEqual,
} from './platform.ts';

describe('parsePlatform', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['Linux/x86_64', 'linux/amd64'],
    ['linux/amd64/v1', 'linux/amd64'],
    ['linux/amd64/v3', 'linux/amd64/v3'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm64/8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/6', 'linux/arm/v6'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/armhf', 'linux/arm/v7'],
    ['macOS/arm64', 'darwin/arm64'],
    ['linux/i386', 'linux/386'],
    ['linux/future', 'linux/future'],
    ['s390x', 'linux/s390x'],
  ])('reads %s as %s', (specifier, normal) => {
    expect(formatPlatform(parsePlatform(specifier))).toBe(normal);
  });

  it('takes from the host what one word leaves out', () => {
    expect(parsePlatform('linux')).toEqual(hostPlatform());
  });

  it.each([
    ['linux/*', '"*" is an invalid component of "linux/*": platform specifier component must match'],
    ['', '"" is an invalid component of ""'],
    ['a/b/c/d', '"a/b/c/d": cannot parse platform specifier: invalid argument'],
    ['vax', '"vax": unknown operating system or architecture: invalid argument'],
  ])('refuses %j', (specifier, message) => {
    expect(() => parsePlatform(specifier)).toThrow(message);
  });
});

describe('platforms', () => {
  it('are equal when they mean the same', () => {
    expect(
      platformsEqual(
        { os: 'linux', architecture: 'arm64', variant: 'v8' },
        { os: 'linux', architecture: 'aarch64' },
      ),
    ).toBe(true);
    expect(
      platformsEqual(
        { os: 'linux', architecture: 'arm', variant: 'v6' },
        { os: 'linux', architecture: 'arm' },
      ),
    ).toBe(false);
  });

  it('keep versions and features when normalised', () => {
    const windows = { os: 'windows', architecture: 'amd64', 'os.version': '10.0', 'os.features': ['win32k'] };
    expect(normalizePlatform(windows)).toEqual(windows);
  });
});
