import { describe, expect, it } from 'vitest';
import {
  withAddedCapabilities,
  withAllKnownCapabilities,
  withAmbientCapabilities,
  withCapabilities,
  withDroppedCapabilities,
} from './capabilities.ts';
import { defaultSpec } from './default-spec.ts';
import { KNOWN_CAPABILITIES, parseCapability, parseCapabilityMask } from './known-capabilities.ts';
import { applySpecOptions, type SpecOption } from './spec-option.ts';

const base = defaultSpec({ namespace: 'default', id: 'web' });

function capabilitiesAfter(...options: SpecOption[]) {
  return applySpecOptions(base, ...options).process?.capabilities;
}

describe('capabilities', () => {
  it('are set in the three sets that follow one another', () => {
    const set = ['CAP_KILL', 'CAP_NET_ADMIN'];
    expect(capabilitiesAfter(withCapabilities(['kill', 'NET_ADMIN']))).toEqual({
      bounding: set,
      effective: set,
      permitted: set,
    });
  });

  it('are added once, and dropped from every set', () => {
    const added = capabilitiesAfter(withAddedCapabilities(['CAP_KILL', 'CAP_BPF']));
    expect(added?.bounding?.filter((name) => name === 'CAP_KILL')).toHaveLength(1);
    for (const set of ['bounding', 'effective', 'permitted'] as const) {
      expect(added?.[set]?.at(-1)).toBe('CAP_BPF');
    }
    const ambient = withAmbientCapabilities(['CAP_KILL', 'CAP_CHOWN']);
    const dropped = capabilitiesAfter(ambient, withDroppedCapabilities(['CAP_KILL']));
    expect(Object.values(dropped ?? {}).flat()).not.toContain('CAP_KILL');
    expect(dropped).toMatchObject({ ambient: ['CAP_CHOWN'], inheritable: ['CAP_CHOWN'] });
  });

  it('that may be inherited are kept as far as they are set', () => {
    const ambient = withAmbientCapabilities(['CAP_KILL', 'CAP_CHOWN']);
    expect(capabilitiesAfter(ambient, withCapabilities(['CAP_CHOWN']))?.inheritable).toEqual(['CAP_CHOWN']);
  });

  it('are all those that Linux knows', () => {
    expect(capabilitiesAfter(withAllKnownCapabilities)?.effective).toHaveLength(41);
  });

  it('are refused when Linux does not know them', () => {
    expect(() => withAddedCapabilities(['CAP_NET_ADMINN'])).toThrow('capability "CAP_NET_ADMINN" is unknown');
    expect(parseCapability('sys_time')).toBe('CAP_SYS_TIME');
  });

  it('are read from a mask, bit by bit', () => {
    expect(parseCapabilityMask('0000000000000021')).toEqual(['CAP_CHOWN', 'CAP_KILL']);
    expect(parseCapabilityMask('ffffffffffffffff')).toEqual(KNOWN_CAPABILITIES);
    expect(() => parseCapabilityMask('0x21')).toThrow('no hexadecimal number');
  });
});
