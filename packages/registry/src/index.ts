export { readCaFile } from './ca-file.ts';
export { checkLogin, type LoginCheck } from './check-login.ts';
export * from './credentials.ts';
export { type FetchedManifest, type RegistryAccess, RegistryClient } from './registry-client.ts';
export { RegistryTransport, type RegistryTransportOptions } from './registry-transport.ts';
export { type Opened, type ResumeOptions, readResumed } from './resumed.ts';
export { expandShortName } from './short-name.ts';
export { type Expected, Verifier } from './verified.ts';
