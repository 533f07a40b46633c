import { defineConfig } from 'vitest/config';

/** Conditions are awaited for as long as a busy machine may need. */
const patience = {
  setupFiles: ['test/harness/patience.ts'],
  expect: { poll: { timeout: 20_000 } },
};

export default defineConfig({
  test: {
    // Postgres for all tests, and the foreign programs on PATH.
    globalSetup: 'test/harness/global-setup.ts',
    // Tests are mostly processes that wait for one another; a third would only slow the others down on two cores.
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...patience,
          name: 'unit',
          include: [
            'packages/*/src/**/*.test.ts',
            'services/*/src/**/*.test.ts',
            'deploy/local/src/**/*.test.ts',
          ],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          ...patience,
          name: 'system',
          include: ['test/**/*.test.ts'],
          exclude: ['test/long/**', '**/node_modules/**'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
