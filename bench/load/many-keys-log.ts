/** What the log of changes costs: PUTs of 1 KiB at nodes that keep one and at nodes that do not, in turns. */

import { during, keyOf, ManyKeysNodes, milliseconds, percentile, valueOf } from './many-keys-nodes.ts';
import type { PartOptions, Row } from './many-keys.ts';

const BUCKET = 'logged';
const BYTES = 1024;

export async function measureLog({ quick, basePort }: PartOptions): Promise<readonly Row[]> {
  const seconds = quick ? 1 : 6;
  const records = quick ? 1000 : 20_000;
  const rows: Row[] = [];
  for (let round = 0; round < (quick ? 1 : 4); round++) {
    // Each first in every other round, since the machine drifts.
    const order = round % 2 === 0 ? ['64MiB', '0'] : ['0', '64MiB'];
    for (const log of order) {
      for (const strands of [1, 64]) {
        const nodes = await ManyKeysNodes.start(basePort, 64, ['--watch-log-max', log]);
        try {
          await nodes.fill(BUCKET, records, BYTES);
          rows.push(await measure(nodes, log, strands, seconds, records));
        } finally {
          await nodes.stop();
        }
      }
    }
  }
  return rows;
}

async function measure(
  nodes: ManyKeysNodes,
  log: string,
  strands: number,
  seconds: number,
  records: number,
): Promise<Row> {
  const put = async (strand: number): Promise<void> => {
    const i = Math.floor(Math.random() * records);
    await nodes.send(strand, 'PUT', `/v1/kv/${BUCKET}/${keyOf(i)}`, valueOf(i, BYTES));
  };
  await during(1, strands, put);
  const cpu = nodes.cpu();
  const times: number[] = [];
  const start = performance.now();
  const puts = await during(seconds, strands, async (strand) => {
    const begun = performance.now();
    await put(strand);
    times.push(performance.now() - begun);
  });
  const elapsed = (performance.now() - start) / 1000;
  return {
    log: log === '0' ? 'none' : log,
    'requests at once': strands,
    'PUT/s': Math.round(puts / elapsed),
    'CPU µs/PUT': ((nodes.cpu() - cpu) / puts).toFixed(1),
    'p50 ms': milliseconds(percentile(times, 0.5)),
    'p99 ms': milliseconds(percentile(times, 0.99)),
  };
}
