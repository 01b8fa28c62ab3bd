/** Whether memory stays as it is while a cluster works for a long time: YCSB A at half of what it can do. */

import { setTimeout as sleep } from 'node:timers/promises';
import { Nodes } from './nodes.ts';
import { generate, type GeneratorFlags } from './run-generator.ts';
import { memory, MIB, NodeFigures, slope } from './scale-node.ts';
import type { Row, ScaleOptions } from './scale.ts';

interface Sample {
  readonly second: number;
  /** MiB of each node. */
  readonly rss: readonly number[];
  readonly heap: readonly number[];
  /** Of V8's objects outside its heap, such as buffers. */
  readonly external: readonly number[];
}

export async function measureSoak({ quick, basePort, soakSeconds, nodeFlags }: ScaleOptions): Promise<readonly Row[]> {
  const nodes = new Nodes(3, basePort, ['--log-level', 'error', ...nodeFlags]);
  try {
    await nodes.startAll();
    const cluster = { urls: Object.values(nodes.urls), pids: nodes.pids };
    const flags: GeneratorFlags = {
      mix: 'a',
      keys: 'zipfian',
      records: quick ? 1000 : 20_000,
      connections: 64,
      warmup: 1,
    };
    await generate(cluster, { ...flags, mix: 'fill' });
    const { opsPerSecond } = await generate(cluster, { ...flags, seconds: quick ? 2 : 5 });
    const rate = Math.round(opsPerSecond / 2);
    let ended = false;
    const load = generate(cluster, { ...flags, rate, seconds: soakSeconds }).finally(() => (ended = true));
    const samples: Sample[] = [];
    const began = performance.now();
    while (!ended) {
      samples.push(await sample(cluster, (performance.now() - began) / 1000));
      console.error(JSON.stringify(samples.at(-1)));
      await Promise.race([sleep(soakSeconds < 60 ? 2000 : 10_000), load]);
    }
    const figures = await load;
    console.error(`${rate}/s, p99 ${figures.p99Ms.toFixed(1)} ms, ${figures.errors} errors`);
    return nodes.ids.map((id, node) => ({ node: id, 'requests/s': rate, ...rowOf(node, samples, soakSeconds) }));
  } finally {
    await nodes.stop();
  }
}

async function sample(
  { urls, pids }: { urls: readonly string[]; pids: readonly number[] },
  second: number,
): Promise<Sample> {
  const figures = await Promise.all(urls.map((url) => NodeFigures.of(url)));
  return {
    second: Math.round(second),
    rss: pids.map((pid) => Math.round(memory(pid).rss / MIB)),
    heap: figures.map((one) => Math.round(one.value('nodejs_heap_size_used_bytes') / MIB)),
    external: figures.map((one) => Math.round(one.value('nodejs_external_memory_bytes') / MIB)),
  };
}

function rowOf(node: number, samples: readonly Sample[], seconds: number): Row {
  // What is being warmed up is no leak.
  const later = samples.filter(({ second }) => second >= Math.min(120, seconds / 3));
  const minutes = later.map(({ second }) => second / 60);
  const of = (kind: 'rss' | 'heap' | 'external', all: readonly Sample[]): number[] =>
    all.map((one) => one[kind][node]!);
  return {
    'RSS after 2 min MiB': of('rss', later)[0]!,
    'RSS at the end MiB': of('rss', later).at(-1)!,
    'RSS highest MiB': Math.max(...of('rss', samples)),
    'RSS MiB a minute': slope(minutes, of('rss', later)).toFixed(2),
    'heap least MiB': Math.min(...of('heap', later)),
    'heap MiB a minute': slope(minutes, of('heap', later)).toFixed(2),
    'external MiB a minute': slope(minutes, of('external', later)).toFixed(2),
  };
}
