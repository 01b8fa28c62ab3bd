/** Listings: keys a second of a stream and of pages, and CPU time of all nodes for each key. */

import { keyOf, ManyKeysNodes, milliseconds, percentile } from './many-keys-nodes.ts';
import type { PartOptions, Row } from './many-keys.ts';

const BUCKET = 'listed';

export async function measureListing({ quick, basePort }: PartOptions): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const bytes of [100, 10_000]) {
    const count = quick ? 2000 : bytes === 100 ? 100_000 : 10_000;
    const nodes = await ManyKeysNodes.start(basePort, 4);
    try {
      await nodes.fill(BUCKET, count, bytes);
      const what = `${count} keys, values of ${bytes} B`;
      for (let round = 0; round < (quick ? 1 : 3); round++) {
        rows.push(await timed(nodes, `stream, ${what}`, count, streamed));
        rows.push(await timed(nodes, `pages of 1000, ${what}`, count, paged));
        rows.push(await timed(nodes, `pages of 10 (${quick ? 20 : 200} of them), ${what}`, quick ? 200 : 2000, short));
      }
    } finally {
      await nodes.stop();
    }
  }
  return rows;
}

type Listing = (nodes: ManyKeysNodes, count: number, times: number[]) => Promise<number>;

async function timed(nodes: ManyKeysNodes, what: string, count: number, list: Listing): Promise<Row> {
  const cpu = nodes.cpu();
  const start = performance.now();
  const times: number[] = [];
  const keys = await list(nodes, count, times);
  const seconds = (performance.now() - start) / 1000;
  if (keys !== count) throw new Error(`${what}: ${keys} keys were listed`);
  return {
    what,
    'keys/s': Math.round(keys / seconds),
    'CPU µs/key': ((nodes.cpu() - cpu) / keys).toFixed(1),
    'page p50 ms': milliseconds(percentile(times, 0.5)),
    'page p99 ms': milliseconds(percentile(times, 0.99)),
  };
}

const streamed: Listing = async (nodes) => {
  const text = await nodes.send(0, 'GET', `/v1/kv/${BUCKET}`, undefined, { accept: 'application/x-ndjson' });
  const lines = text.trimEnd().split('\n');
  if (lines.at(-1) !== '{"next":null}') throw new Error(`the stream ends with ${lines.at(-1)}`);
  return lines.length - 1;
};

const paged: Listing = (nodes, _count, times) => pages(nodes, 1000, times, () => true);

const short: Listing = (nodes, count, times) => pages(nodes, 10, times, (keys) => keys < count);

async function pages(
  nodes: ManyKeysNodes,
  limit: number,
  times: number[],
  goesOn: (keys: number) => boolean,
): Promise<number> {
  let keys = 0;
  for (let after = ''; goesOn(keys);) {
    const start = performance.now();
    const text = await nodes.send(0, 'GET', `/v1/kv/${BUCKET}?limit=${limit}${after}`);
    times.push(performance.now() - start);
    const page = JSON.parse(text) as { keys: string[]; next: string | null };
    if (page.keys[0] !== undefined && page.keys[0] !== keyOf(keys)) throw new Error(`${page.keys[0]} at place ${keys}`);
    keys += page.keys.length;
    if (page.next === null) break;
    after = `&after=${page.next}`;
  }
  return keys;
}
