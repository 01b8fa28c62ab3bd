/**
 * Strong keys on three real nodes of which one after the other is killed or frozen: increments by compare-and-set through all
 * nodes come to what was acknowledged and at most what is unknown, and what all clients saw has a linear order.
 *
 * `STRONG_SECONDS=60` makes it as long as an operator would want to see it.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isExplained, runStrong, type StrongReport, type Workload } from '../../src/cli/bench-strong.ts';
import { historyIn } from '../../src/cli/strong-history.ts';
import { judgeHistory, readHistory } from '../simulation/exported-history.ts';
import { http, runQuoral, TestCluster } from './support.ts';

const SECONDS = Number(process.env['STRONG_SECONDS'] ?? 5);
/** The search for an order of so many operations on a key takes about a second. */
const OPERATIONS_MAX = 12_000;
const CLIENTS = 6;
const STEPS_MAX = 20_000_000;

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start(3);
  const headers = { 'content-type': 'application/json' };
  const { status } = await http('PUT', `${cluster.url('n1')}/v1/buckets/s`, {
    headers,
    body: '{"consistency":"strong"}',
  });
  expect(status).toBe(200);
});

afterAll(async () => {
  await cluster.stop();
});

/** Kills a node or freezes it, again and again, never two at once. */
async function trouble(until: number): Promise<readonly string[]> {
  const done: string[] = [];
  for (let turn = 0; performance.now() < until; turn++) {
    const id = cluster.ids[turn % 3]!;
    await sleep(300 + Math.random() * 700);
    if (turn % 2 === 0) {
      done.push(`${id} killed`);
      await cluster.signal(id, 'SIGKILL');
      await sleep(Math.random() * 1000);
      cluster.startNode(id);
      await cluster.ready();
    } else {
      done.push(`${id} frozen`);
      await cluster.signal(id, 'SIGSTOP');
      await sleep(500 + Math.random() * 2000);
      await cluster.signal(id, 'SIGCONT');
    }
  }
  return done;
}

async function run(workload: Workload, keys: number): Promise<StrongReport> {
  const file = historyFile(workload);
  const milliseconds = SECONDS * 1000;
  return await runStrong({
    ...{
      urls: cluster.ids.map((id) => cluster.url(id)),
      bucket: 's',
      workload,
      clients: CLIENTS,
      keys,
      milliseconds,
    },
    ...{ timeout: 2000, pause: (milliseconds * CLIENTS) / (OPERATIONS_MAX * keys), history: await historyIn(file) },
  });
}

function historyFile(workload: Workload): string {
  return join(cluster.directory, `${workload}.ndjson`);
}

function isLinear(workload: Workload, keys: number): void {
  const verdicts = judgeHistory(readHistory(readFileSync(historyFile(workload), 'utf8')), STEPS_MAX);
  expect([...verdicts.values()].map(({ kind }) => kind)).toEqual(Array.from({ length: keys }, () => 'ok'));
}

test(
  'increments come to what was acknowledged and at most what is unknown; all that was seen has a linear order',
  async () => {
    const [increments, mixed, done] = await Promise.all([
      run('increments', 1),
      run('mixed', 3),
      trouble(performance.now() + SECONDS * 1000),
    ]);
    process.stdout.write(`${JSON.stringify(increments)}; ${JSON.stringify(mixed)}; ${done.join(', ')}\n`);
    expect(done).not.toEqual([]);
    expect(isExplained(increments), JSON.stringify(increments)).toBe(true);
    // On a machine that has other things to do these may be few.
    expect(increments.increments!.acknowledged).toBeGreaterThan(0);
    expect(mixed.outcomes.applied).toBeGreaterThan(0);
    isLinear('increments', 1);
    isLinear('mixed', 3);
  },
  SECONDS * 2000 + 60_000,
);

test('quoral bench strong says the same on the command line', async () => {
  await cluster.ready();
  const file = join(cluster.directory, 'history.ndjson');
  const flags = ['--url', cluster.url('n2'), '--seconds', '1', '--clients', '4', '--keys', '2', '--history', file];
  const { status, stdout, stderr } = await runQuoral(['bench', 'strong', ...flags, '--json']);
  expect([status, stderr]).toEqual([0, '']);
  const report = JSON.parse(stdout) as StrongReport;
  const { operations } = report;
  expect(isExplained(report), stdout).toBe(true);
  const entries = readHistory(readFileSync(file, 'utf8'));
  expect(entries.length).toBeGreaterThanOrEqual(operations);
  expect(Object.keys(entries[0]!).toSorted()).toEqual(
    ['argument', 'client', 'end', 'key', 'operation', 'outcome', 'result', 'start'].toSorted(),
  );
  expect([...judgeHistory(entries, STEPS_MAX).values()].map(({ kind }) => kind)).toEqual(['ok', 'ok']);
  const wrong = await runQuoral(['bench', 'strong', '--url', cluster.url('n2'), '--workload', 'other']);
  expect([wrong.status, wrong.stderr]).toEqual([1, 'quoral: --workload other: increments or mixed\n']);
});
