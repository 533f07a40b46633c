import { type Descriptor, digestOf, parsePlatform } from '@longshore/oci';
import { describe, expect, it } from 'vitest';
import { chooseManifest } from './choose-platform.ts';

function indexOf(...platforms: string[]): Descriptor[] {
  return platforms.map((name) => ({
    mediaType: 'm',
    digest: digestOf(name),
    size: 1,
    annotations: { name },
    ...(name !== '' && { platform: parsePlatform(name) }),
  }));
}

describe('chooseManifest', () => {
  it.each([
    ['linux/amd64', ['linux/arm64', 'linux/amd64'], 'linux/amd64'],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2', 'linux/amd64/v4'], 'linux/amd64/v2'],
    ['linux/arm64/v8', ['linux/arm/v7', 'linux/arm64'], 'linux/arm64'],
    ['linux/arm64/v9', ['linux/arm64'], 'linux/arm64'],
    ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6', 'linux/arm/v8'], 'linux/arm/v6'],
    ['linux/s390x', ['', 'linux/s390x'], 'linux/s390x'],
    ['linux/amd64', ['windows/amd64', 'linux/amd64/v2', ''], undefined],
    ['linux/arm/v6', ['linux/arm/v7', 'linux/arm64'], undefined],
  ])('for %s takes from %j %s', (wanted, offered, chosen) => {
    const found = chooseManifest(indexOf(...offered), parsePlatform(wanted));
    expect(found?.annotations?.name).toBe(chosen);
  });
});
