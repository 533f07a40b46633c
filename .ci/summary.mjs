/**
 * Prints "N passed, N failed" from Vitest's JSON report and exits 1 if anything failed. Before it, the tests that passed
 * only when they were run again: each is a defect to be mended, and more than a few of them are a failure.
 * Arguments: the report, Vitest's exit code, the number of other checks that failed.
 */
import { existsSync, readFileSync } from 'node:fs';

const MAX_UNSTEADY = 3;

const [path, exitCode, failedChecks] = process.argv.slice(2);
const { passed, failed, unsteady } = countTests();
const others = Number(failedChecks);
// Something that failed without being a test, such as the set-up or an error outside of any test, counts as one.
const unseen = Number(exitCode) !== 0 && failed === 0 ? 1 : 0;
const unsteadyFailures = unsteady.length > MAX_UNSTEADY ? unsteady.length : 0;
const failures = failed + others + unseen + unsteadyFailures;
for (const name of unsteady) console.log(`passed only when run again: ${name}`);
console.log(`${passed - unsteadyFailures} passed, ${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;

function countTests() {
  if (!existsSync(path)) return { passed: 0, failed: 0, unsteady: [] };
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(path, 'utf8'));
  // A file that could not be loaded has no tests to fail.
  const broken = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
  const unsteady = testResults.flatMap((file) =>
    file.assertionResults
      .filter(({ status, failureMessages }) => status === 'passed' && failureMessages.length > 0)
      .map(({ fullName }) => `${file.name}: ${fullName}`),
  );
  return { passed: numPassedTests, failed: numFailedTests + broken.length, unsteady };
}
