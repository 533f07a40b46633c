import { changeProcess, type SpecOption } from './spec-option.ts';

/** The empty label takes it away. */
export function withSelinuxLabel(label: string): SpecOption {
  return changeProcess(({ selinuxLabel: _, ...process }) => ({
    ...process,
    ...(label !== '' && { selinuxLabel: label }),
  }));
}

/** The empty name takes it away. */
export function withApparmorProfile(profile: string): SpecOption {
  return changeProcess(({ apparmorProfile: _, ...process }) => ({
    ...process,
    ...(profile !== '' && { apparmorProfile: profile }),
  }));
}
