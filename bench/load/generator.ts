/**
 * The load, in a process of its own so that its CPU time is apart: a closed loop of `connections` clients, each sending its
 * next request when the last one was answered. Writes its figures as one JSON line on stdout. The modes are `fill`, `get`,
 * `put`, and `mixed` for as many of both.
 */

import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Client } from 'undici';

const { values: flags } = parseArgs({
  options: {
    urls: { type: 'string' },
    mode: { type: 'string' },
    connections: { type: 'string', default: '64' },
    seconds: { type: 'string', default: '10' },
    warmup: { type: 'string', default: '2' },
    keys: { type: 'string', default: '20000' },
    bytes: { type: 'string', default: '1024' },
    query: { type: 'string', default: '' },
    token: { type: 'string' },
  },
});

const urls = flags.urls!.split(',');
const keys = Number(flags.keys);
const bytes = Number(flags.bytes);
const query = flags.query === '' ? '' : `?${flags.query}`;
const authorization: Record<string, string> =
  flags.token === undefined ? {} : { authorization: `Bearer ${flags.token}` };
const noise = randomBytes(1024 * 1024);

interface Figures {
  readonly latencies: number[];
  errors: number;
  readonly statuses: Record<string, number>;
}

/** A value that was not stored before: identical overwrites would be skipped by the storage and measure nothing. */
function nextValue(): Uint8Array {
  const value = Buffer.from(noise.subarray(0, bytes));
  value.writeDoubleLE(Math.random(), 0);
  value.writeDoubleLE(performance.now(), Math.max(0, Math.min(8, bytes - 8)));
  return value;
}

async function client(
  origin: string,
  until: number,
  from: number,
  figures: Figures,
  nextKey: () => number,
): Promise<void> {
  const connection = new Client(origin, { pipelining: 1 });
  while (performance.now() < until) {
    const path = `/v1/kv/bench/key-${nextKey()}${query}`;
    const started = performance.now();
    try {
      const { statusCode, body } =
        flags.mode === 'get' || (flags.mode === 'mixed' && Math.random() < 0.5)
          ? await connection.request({ method: 'GET', path, headers: authorization })
          : await connection.request({
              method: 'PUT',
              path,
              body: nextValue(),
              headers: { 'content-type': 'application/octet-stream', ...authorization },
            });
      await body.arrayBuffer();
      if (statusCode < 300) {
        if (started >= from) figures.latencies.push(performance.now() - started);
        continue;
      }
      figures.errors += 1;
      figures.statuses[statusCode] = (figures.statuses[statusCode] ?? 0) + 1;
    } catch {
      figures.errors += 1;
    }
  }
  await connection.close();
}

/** Stores every key once, so that reads find something. */
async function fill(): Promise<void> {
  let next = 0;
  const figures: Figures = { latencies: [], errors: 0, statuses: {} };
  await Promise.all(
    Array.from({ length: 64 }, async (_, index) => {
      const connection = new Client(urls[index % urls.length]!, { pipelining: 1 });
      while (next < keys) {
        const { body, statusCode } = await connection.request({
          method: 'PUT',
          path: `/v1/kv/bench/key-${next++}`,
          headers: authorization,
          body: nextValue(),
        });
        await body.arrayBuffer();
        if (statusCode >= 300) figures.errors += 1;
      }
      await connection.close();
    }),
  );
  process.stdout.write(`${JSON.stringify({ filled: keys, errors: figures.errors })}\n`);
}

async function measure(): Promise<void> {
  const now = performance.now();
  const from = now + Number(flags.warmup) * 1000;
  const until = from + Number(flags.seconds) * 1000;
  const figures: Figures = { latencies: [], errors: 0, statuses: {} };
  const nextKey = (): number => Math.floor(Math.random() * keys);
  const clients = Array.from({ length: Number(flags.connections) }, async (_, index) =>
    client(urls[index % urls.length]!, until, from, figures, nextKey),
  );
  // The parent reads the nodes' CPU time at these two marks.
  setTimeout(() => process.stdout.write('{"mark":"start"}\n'), from - now);
  setTimeout(() => process.stdout.write('{"mark":"end"}\n'), until - now);
  await Promise.all(clients);
  const sorted = Float64Array.from(figures.latencies).sort();
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const result = {
    operations: sorted.length,
    opsPerSecond: sorted.length / Number(flags.seconds),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    p999Ms: at(0.999),
    errors: figures.errors,
    statuses: figures.statuses,
  };
  process.stdout.write(`${JSON.stringify({ result })}\n`);
}

await (flags.mode === 'fill' ? fill() : measure());
