/**
 * How one node does as its store grows: rates, CPU time, memory, disk, start-up, and what checkpoints do to the event loop. Each
 * size is reached by filling the directory of the stopped node (scale-fill.ts).
 */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { mindProcess } from '../interruption.ts';
import { Nodes } from './nodes.ts';
import { cpuMicros, generate, type Figures, type GeneratorFlags } from './run-generator.ts';
import { CHECKPOINT, diskMib, LOOP_DELAY, memory, MIB, NodeFigures, startTimed } from './scale-node.ts';
import type { Row, ScaleOptions } from './scale.ts';

const FILL = new URL('scale-fill.ts', import.meta.url).pathname;
const BYTES = 100;
const LIST_PAGES = 20;

export async function measureKeys({
  quick,
  basePort,
  seconds,
  keys,
  nodeFlags,
}: ScaleOptions): Promise<readonly Row[]> {
  const sizes = keys ?? (quick ? [10_000, 100_000] : [100_000, 1_000_000, 3_000_000, 10_000_000]);
  const nodes = new Nodes(1, basePort, ['--log-level', 'warn', ...nodeFlags]);
  const rows: Row[] = [];
  try {
    let filled = 0;
    for (const size of sizes) {
      const filling = await fill(nodes, basePort, filled, size);
      filled = size;
      rows.push({ keys: size, ...filling, ...(await measureSize(nodes, size, seconds)) });
      console.error(JSON.stringify(rows.at(-1)));
    }
  } finally {
    await nodes.stop();
  }
  return rows;
}

async function fill(nodes: Nodes, basePort: number, from: number, to: number): Promise<Row> {
  const args = [join(nodes.directory, 'n1'), `127.0.0.1:${basePort + 100}`, from, to, BYTES].map(String);
  const began = performance.now();
  const program = mindProcess(spawn(process.execPath, [FILL, ...args], { stdio: ['ignore', 'inherit', 'inherit'] }));
  const status = await new Promise((resolve) => program.once('exit', resolve));
  if (status !== 0) throw new Error(`filling ended with ${String(status)}`);
  return { 'filled keys/s': Math.round((to - from) / ((performance.now() - began) / 1000)) };
}

async function measureSize(nodes: Nodes, records: number, seconds: number): Promise<Row> {
  const [url = ''] = Object.values(nodes.urls);
  const startMs = await startTimed(nodes, 'n1');
  const started = await NodeFigures.of(url);
  const pid = nodes.pids[0]!;
  const startCpu = cpuMicros([pid]) / 1000;
  const atStart = memory(pid);
  const load = (mix: string, more: GeneratorFlags = {}): Promise<Figures> =>
    generate(
      { urls: [url], pids: [pid] },
      { mix, records, seconds, warmup: 1, bytes: BYTES, connections: 64, ...more },
    );
  const get = await load('get');
  const before = await NodeFigures.of(url);
  const put = await load('put');
  const after = await NodeFigures.of(url);
  const held = memory(pid);
  const pageMs = await listing(url);
  const row = {
    'start ms': Math.round(startMs),
    'start CPU ms': Math.round(startCpu),
    'disk reads at start': started.value('quoral_disk_reads_total'),
    'loop late at start ms': started.longestMs(LOOP_DELAY),
    'trees there at start': started.value('quoral_trees_ready'),
    ...ratesOf('GET', get),
    ...ratesOf('PUT', put),
    'PUT p99.9 ms': put.p999Ms.toFixed(1),
    checkpoints: after.value(`${CHECKPOINT}_count`) - before.value(`${CHECKPOINT}_count`),
    'longest checkpoint ms ≤': after.longestMs(CHECKPOINT, before),
    'loop late at most ms ≤': after.longestMs(LOOP_DELAY, before),
    'page of 1000 ms': pageMs.toFixed(1),
    'RSS at start MiB': Math.round(atStart.rss / MIB),
    'RSS MiB': Math.round(held.rss / MIB),
    'of it anonymous': Math.round(held.anonymous / MIB),
    'disk MiB': Math.round(diskMib(nodes, 'n1')),
  };
  const began = performance.now();
  await nodes.signal('n1', 'SIGTERM');
  return { ...row, 'stop ms': Math.round(performance.now() - began) };
}

function ratesOf(name: string, { opsPerSecond, cpuMicrosPerOp, p99Ms, errors }: Figures): Row {
  if (errors > 0) console.error(`${name}: ${errors} errors`);
  return {
    [`${name}/s`]: Math.round(opsPerSecond),
    [`${name} CPU µs`]: Math.round(cpuMicrosPerOp),
    [`${name} p99 ms`]: p99Ms.toFixed(1),
  };
}

/** Milliseconds of a page of 1000 keys, in the middle of a run of pages. */
async function listing(url: string): Promise<number> {
  const times: number[] = [];
  let cursor = '';
  for (let page = 0; page < LIST_PAGES; page++) {
    const began = performance.now();
    const answer = await fetch(`${url}/v1/kv/bench?limit=1000${cursor}`);
    if (!answer.ok) throw new Error(`a page: ${answer.status} ${await answer.text()}`);
    const { next } = (await answer.json()) as { next: string | null };
    times.push(performance.now() - began);
    if (next === null) break;
    cursor = `&after=${encodeURIComponent(next)}`;
  }
  return times.toSorted((a, b) => a - b)[times.length >> 1]!;
}
