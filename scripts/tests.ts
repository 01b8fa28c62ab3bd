/** Runs the tests of a folder, or those of them that are named: `scripts/tests.ts test/unit ring`. */

import { runTool, stopping, TEST_RUNNER } from './run-tool.ts';
import { vitestArguments } from './test-names.ts';

const [folder = 'test', ...given] = process.argv.slice(2);
const { exitCode } = await runTool([...TEST_RUNNER, ...vitestArguments(folder, given)], 'show');
if (!stopping.aborted) process.exitCode = exitCode;
