/** How many tests passed, failed and were skipped, from the report that the test runner wrote. */

import { existsSync, readFileSync } from 'node:fs';

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The part of vitest's JSON report that is counted. */
export interface TestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly TestFile[];
}

interface TestFile {
  readonly status: string;
  readonly assertionResults: readonly { readonly status: string }[];
}

/** Counts the report at the path; a run that never wrote one counts as a failure. */
export function readCounts(path: string, succeeded: boolean): TestCounts {
  if (!existsSync(path)) return { passed: 0, failed: 1, skipped: 0 };
  return countTests(JSON.parse(readFileSync(path, 'utf8')) as TestReport, succeeded);
}

/**
 * A file that failed without a failed test (it could not be loaded, a hook threw) counts as one failure, and so does a
 * run that failed for a reason outside of any file: the counts never look better than the run was.
 */
export function countTests(report: TestReport, succeeded: boolean): TestCounts {
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failed = report.numFailedTests + brokenFiles;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && !succeeded ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}
