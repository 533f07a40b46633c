/**
 * Prints "N passed, N failed" from Vitest's JSON report and exits 1 if anything failed.
 * Arguments: the report, Vitest's exit code, the number of other checks that failed.
 */
import { existsSync, readFileSync } from 'node:fs';

const [path, exitCode, failedChecks] = process.argv.slice(2);
const { passed, failed } = countTests();
const others = Number(failedChecks);
// Something that failed without being a test, such as the set-up or an error outside of any test, counts as one.
const unseen = Number(exitCode) !== 0 && failed === 0 ? 1 : 0;
const failures = failed + others + unseen;
console.log(`${passed} passed, ${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;

function countTests() {
  if (!existsSync(path)) return { passed: 0, failed: 0 };
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(path, 'utf8'));
  // A file that could not be loaded has no tests to fail.
  const broken = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
  return { passed: numPassedTests, failed: numFailedTests + broken.length };
}
