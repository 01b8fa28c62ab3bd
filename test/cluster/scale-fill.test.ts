/**
 * What `npm run bench:scale` measures must be what clients would have made: a directory that its program has filled is read by a
 * real node, which finds its trees whole and goes on writing.
 */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Nodes } from '../../bench/load/nodes.ts';
import { CHECKPOINT, NodeFigures, slope, startTimed } from '../../bench/load/scale-node.ts';
import { freeBase } from './ports.ts';
import { http } from './support.ts';

const FILL = new URL('../../bench/load/scale-fill.ts', import.meta.url).pathname;
const RECORDS = 300;
/** What a busy machine makes a node say is no trouble with its directory. */
const SLOW = new Set(['event-loop-late', 'request-slow']);

async function fill(directory: string, port: number, records: number): Promise<unknown> {
  const args = [directory, `127.0.0.1:${port}`, 0, records, 100].map(String);
  const program = spawn(process.execPath, [FILL, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  return await new Promise((resolve) => program.once('exit', resolve));
}

test('a filled directory is that of a node', async () => {
  const basePort = await freeBase([0, 100]);
  const nodes = new Nodes(1, basePort, ['--log-level', 'warn']);
  try {
    const directory = join(nodes.directory, 'n1');
    expect(await fill(directory, basePort + 100, RECORDS)).toBe(0);
    expect(await startTimed(nodes, 'n1')).toBeGreaterThan(0);
    const url = nodes.urls['n1']!;
    const listed = await http('GET', `${url}/v1/kv/bench?limit=1000`);
    expect((JSON.parse(listed.body.toString()) as { keys: unknown[] }).keys).toHaveLength(RECORDS);
    expect((await http('GET', `${url}/v1/kv/bench/key-${RECORDS - 1}`)).body).toHaveLength(100);
    expect((await http('PUT', `${url}/v1/kv/bench/key-7`, { body: 'new' })).status).toBe(204);
    const figures = await NodeFigures.of(url);
    expect(figures.value('quoral_trees_ready')).toBe(1);
    expect(nodes.log().filter(({ event }) => !SLOW.has(event))).toEqual([]);
  } finally {
    await nodes.stop();
  }
});

test('buckets of a histogram and lines through samples are read rightly', () => {
  const text = (counts: readonly number[]): string =>
    ['0.1', '0.5', '+Inf'].map((bound, i) => `${CHECKPOINT}_bucket{le="${bound}"} ${counts[i]}`).join('\n');
  const before = new NodeFigures(text([1, 1, 2]));
  expect(before.longestMs(CHECKPOINT)).toBe(Number.POSITIVE_INFINITY);
  expect(new NodeFigures(text([3, 4, 5])).longestMs(CHECKPOINT, before)).toBe(500);
  expect(before.longestMs(CHECKPOINT, before)).toBe(0);
  expect(slope([0, 1, 2, 3], [5, 7, 9, 11])).toBeCloseTo(2);
});
