export * from './adaptor.ts';
export * from './ast.ts';
export * from './filter.ts';
export { parseSelectors } from './parser.ts';
export * from './select.ts';
export * from './to-sql.ts';
