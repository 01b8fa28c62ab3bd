/** Nodes for a benchmark of many keys, and the few ways to talk to them. */

import { Pool } from 'undici';
import { Nodes } from './nodes.ts';

export class ManyKeysNodes {
  readonly nodes: Nodes;
  readonly pools: readonly Pool[];

  private constructor(nodes: Nodes, connections: number) {
    this.nodes = nodes;
    this.pools = Object.values(nodes.urls).map((url) => new Pool(url, { connections }));
  }

  static async start(basePort: number, connections: number, flags: readonly string[] = []): Promise<ManyKeysNodes> {
    const nodes = new Nodes(3, basePort, ['--log-level', 'warn', ...flags]);
    await nodes.startAll();
    return new ManyKeysNodes(nodes, connections);
  }

  async stop(): Promise<void> {
    await Promise.all(this.pools.map((pool) => pool.destroy()));
    await this.nodes.stop();
  }

  /** CPU time of all nodes so far, in microseconds. */
  cpu(): number {
    return this.nodes.ids.reduce((sum, id) => sum + this.nodes.cpuMs(id) * 1000, 0);
  }

  async send(at: number, method: 'GET' | 'PUT' | 'POST', path: string, body?: string | Uint8Array, headers = {}) {
    const answer = await this.pools[at % this.pools.length]!.request({ method, path, body: body ?? null, headers });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 300)}`);
    return text;
  }

  batch(at: number, operations: readonly object[]): Promise<string> {
    return this.send(at, 'POST', '/v1/batch', JSON.stringify({ operations }), { 'content-type': 'application/json' });
  }

  /** `count` keys with values of so many bytes, in batches. */
  async fill(bucket: string, count: number, bytes: number): Promise<void> {
    for (let start = 0; start < count; start += 500) {
      const operations = Array.from({ length: Math.min(500, count - start) }, (_, i) => {
        return { op: 'put', bucket, key: keyOf(start + i), value: valueOf(start + i, bytes) };
      });
      await this.batch(start / 500, operations);
    }
  }
}

export function keyOf(i: number): string {
  return `key-${String(i).padStart(8, '0')}`;
}

/** Another one each time, for a disk skips what is there already. */
export function valueOf(i: number, bytes: number): string {
  return `${i}-${Math.random()}-`.padEnd(bytes, 'x').slice(0, bytes);
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function milliseconds(value: number): string {
  return value.toFixed(2);
}

/** Runs `work` on so many strands until the time is over; how often it ended. */
export async function during(
  seconds: number,
  strands: number,
  work: (strand: number) => Promise<void>,
): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let count = 0;
  await Promise.all(
    Array.from({ length: strands }, async (_, strand) => {
      while (performance.now() < end) {
        await work(strand);
        count += 1;
      }
    }),
  );
  return count;
}
