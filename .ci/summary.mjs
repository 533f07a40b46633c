/**
 * Prints "N passed, N failed" from Vitest's JSON reports and exits 1 if anything failed. Before it, the tests that passed
 * only when they were run again: each is a defect to be mended, and more than a few of them are a failure.
 * Arguments: Vitest's last exit code, the number of other checks that failed, the report of the whole run, the report
 * of the files that were run again, if there is one.
 */
import { hasFailed, readReport } from './report.mjs';

const MAX_UNSTEADY = 3;

const [exitCode, failedChecks, whole, again] = process.argv.slice(2);
const repeated = new Map(readReport(again).map((file) => [file.file, file]));
const files = readReport(whole).map((file) => {
  const second = hasFailed(file) ? repeated.get(file.file) : undefined;
  return second ? markUnsteady(second, file) : file;
});
const tests = files.flatMap(({ file, tests }) => tests.map((test) => ({ ...test, file })));
const unsteady = tests.filter((test) => test.unsteady);
const failed =
  tests.filter((test) => test.failed).length +
  files.filter(({ broken }) => broken).length +
  Number(failedChecks);
// Something that failed without being a test, such as the set-up or an error outside of any test, counts as one.
const unseen = Number(exitCode) !== 0 && failed === Number(failedChecks) ? 1 : 0;
const unsteadyFailures = unsteady.length > MAX_UNSTEADY ? unsteady.length : 0;
const failures = failed + unseen + unsteadyFailures;
for (const { file, name } of unsteady) console.log(`passed only when run again: ${file}: ${name}`);
console.log(`${tests.filter(({ passed }) => passed).length - unsteadyFailures} passed, ${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;

/** The second run of a file; what failed in the first one is named. A file that could not be loaded then counts with all its tests. */
function markUnsteady(second, first) {
  const before = new Set(first.tests.filter(({ failed }) => failed).map(({ name }) => name));
  const tests = second.tests.map((test) => ({
    ...test,
    unsteady: test.unsteady || (test.passed && (before.has(test.name) || first.broken)),
  }));
  return { ...second, tests };
}
