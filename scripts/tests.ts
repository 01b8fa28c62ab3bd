/** Runs the tests of a folder, or those of them that are named: `scripts/tests.ts test/unit ring`. */

import { spawnSync } from 'node:child_process';
import { vitestArguments } from './test-names.ts';

const [folder = 'test', ...given] = process.argv.slice(2);
const { status } = spawnSync(
  process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', ...vitestArguments(folder, given)],
  { stdio: 'inherit' },
);
process.exitCode = status ?? 1;
