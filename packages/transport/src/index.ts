export * from './address.ts';
export * from './peer.ts';
export * from './replica-choice.ts';
export * from './retry-safe.ts';
export * from './revocations.ts';
export * from './server-check.ts';
export * from './tls-files.ts';
export * from './tls-identity.ts';
export type * from './warnings.ts';
