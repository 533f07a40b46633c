export type { BlobUpload } from './blob-upload.ts';
export { readCaFile } from './ca-file.ts';
export { checkLogin, type LoginCheck } from './check-login.ts';
export * from './credentials.ts';
export { registryHosts } from './hosts-directory.ts';
export { MirroredRegistry } from './mirrored-registry.ts';
export { type FetchedManifest, RegistryClient } from './registry-client.ts';
export {
  type HostCapability,
  plainRegistryHost,
  type RegistryHost,
} from './registry-host.ts';
export { RegistryPusher, type UploadOutcome } from './registry-pusher.ts';
export type { RegistryAccess } from './registry-session.ts';
export { RegistryTransport, type RegistryTransportOptions } from './registry-transport.ts';
export { type Opened, type ResumeOptions, readResumed } from './resumed.ts';
export { expandShortName } from './short-name.ts';
export { type Expected, Verifier } from './verified.ts';
