/**
 * Writes the lists in config/ anew from what the program shows: figures from a running cluster, events from the source. And the
 * examples in the description of the API, from answers of nodes.
 */

import { spawnSync } from 'node:child_process';

const LISTS = [
  'test/cluster/metrics-list.test.ts',
  'test/unit/log-events.test.ts',
  'test/unit/api/document/contract.test.ts',
];

function run(...args: readonly string[]): void {
  const { status } = spawnSync(process.execPath, args, {
    stdio: 'inherit',
    env: { ...process.env, WRITE_DOCS: '1' },
  });
  if (status !== 0) process.exit(status ?? 1);
}

run('node_modules/vitest/vitest.mjs', 'run', ...LISTS);
run('node_modules/oxfmt/bin/oxfmt', 'config/metrics.md', 'config/log-events.md', 'src/api/document');
