import type { CapabilitySets } from '../spec.ts';
import { KNOWN_CAPABILITIES, parseCapability } from './known-capabilities.ts';
import { changeProcess, type SpecOption } from './spec-option.ts';

/** The sets that follow one another: what the process has, may take on, and may ever have. */
const MAIN_SETS = ['bounding', 'effective', 'permitted'] as const;

/** Sets bounding, effective and permitted; inheritable ones are kept as far as they are among them. */
export function withCapabilities(capabilities: readonly string[]): SpecOption {
  const names = parseAll(capabilities);
  return changeSets(({ inheritable, ...sets }) => ({
    ...sets,
    bounding: names,
    effective: names,
    permitted: names,
    ...(inheritable && { inheritable: inheritable.filter((name) => names.includes(name)) }),
  }));
}

export function withAddedCapabilities(capabilities: readonly string[]): SpecOption {
  const names = parseAll(capabilities);
  return changeSets((sets) => {
    const added = MAIN_SETS.map((set) => [set, [...new Set([...(sets[set] ?? []), ...names])]]);
    return { ...sets, ...Object.fromEntries(added) };
  });
}

/** From all sets. */
export function withDroppedCapabilities(capabilities: readonly string[]): SpecOption {
  const dropped = new Set(parseAll(capabilities));
  return changeSets((sets) => {
    const entries = Object.entries(sets) as [string, string[]][];
    return Object.fromEntries(
      entries.map(([set, names]) => [set, names.filter((name) => !dropped.has(name))]),
    );
  });
}

/** Sets inheritable and ambient: what a process that is not root's keeps. It must be in the other sets too. */
export function withAmbientCapabilities(capabilities: readonly string[]): SpecOption {
  const names = parseAll(capabilities);
  return changeSets((sets) => ({ ...sets, inheritable: names, ambient: names }));
}

/** A host with an older kernel, or that has itself been denied some, cannot grant all of them. */
export const withAllKnownCapabilities: SpecOption = withCapabilities(KNOWN_CAPABILITIES);

function changeSets(change: (sets: CapabilitySets) => CapabilitySets): SpecOption {
  return changeProcess((process) => ({ ...process, capabilities: change(process.capabilities ?? {}) }));
}

function parseAll(capabilities: readonly string[]): string[] {
  return capabilities.map(parseCapability);
}
