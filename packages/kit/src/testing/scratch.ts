export { scratchDirectory } from '@longshore/transport/testing';
