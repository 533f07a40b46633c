export { serialOfFile, TestAuthority } from './certificates.ts';
export { killedListener } from './killed-listener.ts';
export { scratchDirectory } from './scratch.ts';
