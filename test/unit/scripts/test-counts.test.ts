import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { countTests, readCounts } from '../../../scripts/test-counts.ts';

const none = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] };

it('counts what the runner counted', () => {
  const report = { ...none, numPassedTests: 7, numFailedTests: 2, numPendingTests: 1, numTodoTests: 1 };
  expect(countTests(report, false)).toEqual({ passed: 7, failed: 2, skipped: 2 });
});

it('counts a file that could not be loaded as a failure, and a failed test only once', () => {
  const broken = { status: 'failed', assertionResults: [] };
  const failing = { status: 'failed', assertionResults: [{ status: 'failed' }] };
  const report = { ...none, numFailedTests: 1, testResults: [broken, failing] };
  expect(countTests(report, false)).toEqual({ passed: 0, failed: 2, skipped: 0 });
});

it('never shows a failed run without a failure', () => {
  expect(countTests({ ...none, numPassedTests: 3 }, false).failed).toBe(1);
  expect(readCounts(join(tmpdir(), 'quoral-no-such-report.json'), false).failed).toBe(1);
});
