/** How a cluster does with large values, with more nodes, and with many connections. */

import { setTimeout as sleep } from 'node:timers/promises';
import { HttpConnection } from './http-connection.ts';
import { Nodes } from './nodes.ts';
import { generate, type Figures, type GeneratorFlags } from './run-generator.ts';
import { MIB, rssMib } from './scale-node.ts';
import type { Row, ScaleOptions } from './scale.ts';

const FLAGS = ['--log-level', 'error'];
const CONNECTIONS = 64;

type Load = (flags: GeneratorFlags) => Promise<Figures>;

async function withNodes<T>(
  count: number,
  basePort: number,
  use: (nodes: Nodes, load: Load) => Promise<T>,
): Promise<T> {
  const nodes = new Nodes(count, basePort, FLAGS);
  try {
    await nodes.startAll();
    const cluster = { urls: Object.values(nodes.urls), pids: nodes.pids };
    return await use(nodes, (flags) => generate(cluster, { warmup: 1, connections: CONNECTIONS, ...flags }));
  } finally {
    await nodes.stop();
  }
}

export async function measureValues({ quick, basePort, seconds }: ScaleOptions): Promise<readonly Row[]> {
  const sizes = [100, 1024, 16_384, 262_144, 4 * MIB];
  const rows: Row[] = [];
  for (const bytes of sizes) {
    // Nodes that have seen nothing larger, so that their memory says something.
    await withNodes(3, basePort, async (nodes, load) => {
      const large = bytes >= 262_144;
      const records = Math.max(16, Math.min(quick ? 1000 : 10_000, Math.floor((256 * MIB) / bytes)));
      const flags = { bytes, records, seconds, connections: large ? 8 : CONNECTIONS };
      await load({ ...flags, mix: 'fill' });
      for (const mix of ['put', 'get'] as const) {
        const figures = await load({ ...flags, mix });
        rows.push({
          bytes,
          operation: mix.toUpperCase(),
          connections: flags.connections,
          ...ratesOf(figures),
          'MB/s': ((figures.opsPerSecond * bytes) / 1e6).toFixed(1),
          'RSS of three nodes MiB': Math.round(rssMib(nodes)),
        });
      }
    });
  }
  return rows;
}

export async function measureNodes({ quick, basePort, seconds }: ScaleOptions): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const count of quick ? [1, 3] : [1, 3, 5, 7]) {
    await withNodes(count, basePort, async (nodes, load) => {
      const flags = { seconds, records: quick ? 1000 : 10_000 };
      await load({ ...flags, mix: 'fill' });
      for (const mix of ['put', 'get'] as const)
        rows.push({
          nodes: count,
          operation: mix.toUpperCase(),
          ...ratesOf(await load({ ...flags, mix })),
          'RSS a node MiB': Math.round(rssMib(nodes) / count),
        });
    });
  }
  return rows;
}

/** The same rate over ever more connections, each used in its turn: half of what the cluster reaches with the fewest. */
export async function measureConnections({ quick, basePort, seconds }: ScaleOptions): Promise<readonly Row[]> {
  const counts = quick ? [64, 512] : [64, 1024, 4096];
  // Of nodes that have done nothing yet: others have memory to spare, and a connection would seem to cost nothing.
  const idle = await withNodes(3, basePort, (nodes) => memoryOfIdle(nodes, counts.at(-1)!));
  return await withNodes(3, basePort, async (_nodes, load) => {
    const flags = { mix: 'a', seconds, records: quick ? 1000 : 10_000 };
    await load({ ...flags, mix: 'fill' });
    const { opsPerSecond } = await load(flags);
    const rows: Row[] = [];
    for (const connections of counts) {
      const figures = await load({ ...flags, connections, rate: Math.round(opsPerSecond / 2) });
      const closed = await load({ ...flags, connections });
      rows.push({
        connections,
        ...ratesOf(figures),
        'RSS an idle connection KiB': connections === counts.at(-1) ? idle.toFixed(1) : '',
        'closed loop/s': Math.round(closed.opsPerSecond),
        'closed loop p99 ms': closed.p99Ms.toFixed(1),
        'closed loop turned away': closed.refused,
      });
    }
    return rows;
  });
}

/** KiB that the nodes take more for each connection that has had an answer and waits. */
async function memoryOfIdle(nodes: Nodes, count: number): Promise<number> {
  const urls = Object.values(nodes.urls);
  const before = rssMib(nodes);
  const connections = Array.from({ length: count }, (_, i) => new HttpConnection(urls[i % urls.length]!));
  for (let i = 0; i < count; i += 64)
    await Promise.all(connections.slice(i, i + 64).map((one) => one.request('GET', '/livez', '')));
  await sleep(1000);
  const after = rssMib(nodes);
  for (const connection of connections) connection.close();
  await sleep(500);
  return ((after - before) * 1024) / count;
}

function ratesOf({ opsPerSecond, cpuMicrosPerOp, p50Ms, p99Ms, errors }: Figures): Row {
  return {
    'ops/s': Math.round(opsPerSecond),
    'CPU µs': Math.round(cpuMicrosPerOp),
    'p50 ms': p50Ms.toFixed(1),
    'p99 ms': p99Ms.toFixed(1),
    errors,
  };
}
