export * from './lock-name.ts';
export * from './lock-scope.ts';
export * from './migrate.ts';
export * from './outbox.ts';
export * from './pool.ts';
export * from './scope-changes.ts';
export * from './sql-error.ts';
export * from './transaction.ts';
