import { describe, expect, it } from 'vitest';
import { compareVersions, versionNotice } from './software-version.ts';

describe('compareVersions', () => {
  it('orders as semver.org does', () => {
    const order = [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0',
      '1.2.0',
      '1.10.0',
    ];
    for (const [index, version] of order.slice(1).entries()) {
      expect(compareVersions(version, order[index]!), version).toBeGreaterThan(0);
      expect(compareVersions(order[index]!, version), version).toBeLessThan(0);
    }
    expect(compareVersions('1.0.0+a', 'v1.0.0+b')).toBe(0);
  });

  it('has no opinion on what is no version', () => {
    expect(compareVersions('main', '0.1.0')).toBe(0);
  });
});

describe('versionNotice', () => {
  it('speaks up for newer software only', () => {
    expect(versionNotice('0.2.0', '0.1.0')).toBe(
      "software 0.2.0 is newer than the control plane's 0.1.0: upgrade the control plane",
    );
    expect(versionNotice('0.1.0', '0.1.0')).toBe('');
    expect(versionNotice('0.0.9', '0.1.0')).toBe('');
  });
});
