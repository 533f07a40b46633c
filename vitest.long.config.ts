import { defineConfig } from 'vitest/config';

/** What takes too long for `npm test`: soaks and full-length outages. `npm run test:long`. */
export default defineConfig({
  test: {
    globalSetup: 'test/harness/global-setup.ts',
    include: ['test/long/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 30 * 60_000,
    hookTimeout: 180_000,
  },
});
