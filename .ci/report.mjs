/** Vitest's JSON report, as this folder's programs need it. */
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

/** Files of a report with their tests; none when the run ended before it wrote one. */
export function readReport(path) {
  if (!existsSync(path)) return [];
  return JSON.parse(readFileSync(path, 'utf8')).testResults.map(({ name, status, assertionResults }) => ({
    file: relative('.', name),
    // A file that could not be loaded has no tests to fail.
    broken: status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
    tests: assertionResults.map((test) => ({
      name: test.fullName,
      passed: test.status === 'passed',
      failed: test.status === 'failed',
      unsteady: test.status === 'passed' && test.failureMessages.length > 0,
    })),
  }));
}

export const hasFailed = ({ broken, tests }) => broken || tests.some(({ failed }) => failed);
