export * from './any-registry.ts';
