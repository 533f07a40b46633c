export * from './any-registry.ts';
export * from './json-types.ts';
