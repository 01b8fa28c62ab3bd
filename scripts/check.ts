/**
 * Every check that guards the main branch, in one command: `npm test`, or `npm test -- format lint` for some of them.
 *
 * The quick checks of the text run first, as many at once as there are processors; the tests have the machine to
 * themselves. All of them run even when one fails, and the last line says what the test runner counted.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool, stopping, TEST_RUNNER } from './run-tool.ts';
import { readCounts, type TestCounts } from './test-counts.ts';

interface Step {
  readonly name: string;
  readonly command: readonly string[];
}

const TEXT_STEPS: readonly Step[] = [
  { name: 'format', command: ['oxfmt/bin/oxfmt', '--check', '.'] },
  // By one thread: the linter has the other processor.
  { name: 'types', command: ['typescript/bin/tsc', '-p', 'tsconfig.json', '--singleThreaded'] },
  { name: 'types-protocol', command: ['typescript/bin/tsc', '-p', 'tsconfig.protocol.json'] },
  { name: 'types-client', command: ['typescript/bin/tsc', '-p', 'tsconfig.client.json'] },
  { name: 'types-ui', command: ['typescript/bin/tsc', '-p', 'tsconfig.ui.json'] },
  { name: 'lint', command: ['oxlint/bin/oxlint'] },
];
const NAMES = [...TEXT_STEPS.map((step) => step.name), 'tests'];

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !NAMES.some((known) => known.startsWith(name)));
if (unknown === undefined) await check((step) => wanted.length === 0 || wanted.some((name) => step.startsWith(name)));
else refuse(unknown);

function refuse(name: string): void {
  console.error(`unknown check ${JSON.stringify(name)}: ${NAMES.join(', ')}`);
  process.exitCode = 2;
}

async function check(chosen: (step: string) => boolean): Promise<void> {
  const failed = await runTextSteps(TEXT_STEPS.filter((step) => chosen(step.name)));
  let counts: TestCounts | undefined;
  if (chosen('tests') && !stopping.aborted) {
    const { exitCode, ...counted } = await runTests();
    counts = counted;
    if (exitCode !== 0) failed.push('tests');
  }
  if (stopping.aborted) return;
  if (failed.length > 0) {
    console.log(`\nFAILED: ${failed.join(', ')}`);
    process.exitCode = 1;
  }
  if (counts !== undefined) console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
}

/** Runs the steps, several at once, and returns the names of those that failed. */
async function runTextSteps(steps: readonly Step[]): Promise<string[]> {
  const waiting = [...steps];
  const failed: string[] = [];
  const worker = async (): Promise<void> => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      const started = performance.now();
      const { exitCode, output } = await runTool(step.command, 'collect');
      if (stopping.aborted) return;
      report(step.name, exitCode === 0, started);
      if (exitCode === 0) continue;
      failed.push(step.name);
      console.log(output.trimEnd());
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return failed;
}

async function runTests(): Promise<TestCounts & { readonly exitCode: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-check-'));
  try {
    const started = performance.now();
    const file = join(directory, 'tests.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const { exitCode } = await runTool([...TEST_RUNNER, ...reporters], 'show');
    report('tests', exitCode === 0, started);
    return { exitCode, ...readCounts(file, exitCode === 0) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function report(name: string, passed: boolean, started: number): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${passed ? 'ok    ' : 'FAILED'}  ${name.padEnd(16)} ${seconds.padStart(6)} s`);
}
