/** Prints the files of a report with a test that failed; nothing when they are so many that the cause is no chance. Argument: the report. */
import { hasFailed, readReport } from './report.mjs';

const MAX_FILES = 3;

const files = readReport(process.argv[2]).filter(hasFailed);
if (files.length <= MAX_FILES) console.log(files.map(({ file }) => file).join(' '));
