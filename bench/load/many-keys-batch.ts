/** Operations one by one and in batches: how many a second, at which cost, and how many share a commit. */

import { during, keyOf, ManyKeysNodes, milliseconds, percentile, valueOf } from './many-keys-nodes.ts';
import type { PartOptions, Row } from './many-keys.ts';
import { groupSizes, meanGroup } from './surroundings.ts';

const BUCKET = 'batched';
const BYTES = 1024;
/** The same number of operations under way, or about so many: single requests and batches of each size. */
const SIZES: readonly (readonly [size: number, strands: number])[] = [
  [1, 64],
  [10, 8],
  [100, 4],
  [1000, 2],
];

export async function measureBatches({ quick, basePort }: PartOptions): Promise<readonly Row[]> {
  const records = quick ? 2000 : 20_000;
  const seconds = quick ? 1 : 5;
  const nodes = await ManyKeysNodes.start(basePort, 64);
  const rows: Row[] = [];
  try {
    await nodes.fill(BUCKET, records, BYTES);
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      for (const op of ['put', 'get'] as const) {
        for (const [size, strands] of SIZES) rows.push(await measure(nodes, op, size, strands, seconds, records));
      }
    }
  } finally {
    await nodes.stop();
  }
  return rows;
}

async function measure(
  nodes: ManyKeysNodes,
  op: 'put' | 'get',
  size: number,
  strands: number,
  seconds: number,
  records: number,
): Promise<Row> {
  const urls = Object.values(nodes.nodes.urls);
  const groups = await groupSizes(urls);
  const cpu = nodes.cpu();
  const start = performance.now();
  const times: number[] = [];
  const random = (): number => Math.floor(Math.random() * records);
  const requests = await during(seconds, strands, async (strand) => {
    const begun = performance.now();
    if (size === 1) {
      const path = `/v1/kv/${BUCKET}/${keyOf(random())}`;
      await nodes.send(strand, op === 'put' ? 'PUT' : 'GET', path, op === 'put' ? valueOf(random(), BYTES) : undefined);
    } else {
      const operations = Array.from({ length: size }, () => {
        const key = keyOf(random());
        return op === 'put'
          ? { op, bucket: BUCKET, key, value: valueOf(random(), BYTES) }
          : { op, bucket: BUCKET, key };
      });
      const text = await nodes.batch(strand, operations);
      const failed = [...text.matchAll(/"status":([45]\d\d)/g)].length;
      if (failed > 0) throw new Error(`${failed} operations of a batch failed: ${text.slice(0, 300)}`);
    }
    times.push(performance.now() - begun);
  });
  const elapsed = (performance.now() - start) / 1000;
  const operations = requests * size;
  return {
    operation: op.toUpperCase(),
    'batch of': size,
    'requests at once': strands,
    'operations/s': Math.round(operations / elapsed),
    'CPU µs/operation': ((nodes.cpu() - cpu) / operations).toFixed(1),
    'request p50 ms': milliseconds(percentile(times, 0.5)),
    'request p99 ms': milliseconds(percentile(times, 0.99)),
    'writes a commit': op === 'put' ? meanGroup(groups, await groupSizes(urls)).toFixed(1) : '',
  };
}
