/**
 * What the client costs beside bare requests: the same reads and writes of 1 KiB by `fetch`, by undici's `request`, and by the
 * client over either, with one request under way and with 32. Variants take turns, so that all see the same machine.
 */

import { request } from 'undici';
import { bytes } from '#client/codec.ts';
import { connect } from '#client/quoral.ts';
import { clusterClient } from '../../src/cli/cluster-client.ts';

export interface Overhead {
  readonly name: string;
  readonly atOnce: number;
  readonly opsPerSecond: number;
  /** CPU time of this process for an operation. */
  readonly cpuMicros: number;
}

interface Variant {
  readonly name: string;
  readonly put: (key: string, value: Uint8Array) => Promise<unknown>;
  readonly get: (key: string) => Promise<unknown>;
}

const KEYS = 1000;
const VALUE = new Uint8Array(1024).fill(0x61);

function variants(urls: readonly string[]): readonly Variant[] {
  let turn = 0;
  const target = (key: string): string => `${urls[turn++ % urls.length]}/v1/kv/overhead/${key}`;
  const headers = { 'content-type': 'application/octet-stream' };
  const client = connect({ urls }).bucket('overhead', bytes);
  const together = connect({ urls, coalesce: true }).bucket('overhead', bytes);
  const overUndici = clusterClient({ url: urls.join(',') }, { many: false }).bucket('overhead', bytes);
  const noKey = { idempotencyKey: false } as const;
  return [
    {
      name: 'fetch, bare',
      put: async (key, body) =>
        (await fetch(target(key), { method: 'PUT', headers, body: body as Uint8Array<ArrayBuffer> })).arrayBuffer(),
      get: async (key) => (await fetch(target(key))).arrayBuffer(),
    },
    {
      name: 'client over fetch',
      put: async (key, value) => client.put(key, value, noKey),
      get: async (key) => client.get(key),
    },
    {
      name: 'client over fetch, with idempotency keys',
      put: async (key, value) => client.put(key, value),
      get: async (key) => client.get(key),
    },
    {
      name: 'client over fetch, coalescing',
      put: async (key, value) => together.put(key, value, noKey),
      get: async (key) => together.get(key),
    },
    {
      name: 'undici request, bare',
      put: async (key, body) => (await request(target(key), { method: 'PUT', headers, body })).body.arrayBuffer(),
      get: async (key) => (await request(target(key))).body.arrayBuffer(),
    },
    {
      name: 'client over undici request',
      put: async (key, value) => overUndici.put(key, value, noKey),
      get: async (key) => overUndici.get(key),
    },
  ];
}

export interface OverheadRow {
  readonly operation: 'put' | 'get';
  readonly figures: readonly Overhead[];
}

export async function measureOverhead(
  urls: readonly string[],
  secondsEach: number,
  rounds: number,
): Promise<readonly OverheadRow[]> {
  const all = variants(urls);
  for (let i = 0; i < KEYS; i++) await all[0]!.put(`k${i}`, VALUE);
  const rows: OverheadRow[] = [];
  for (const operation of ['put', 'get'] as const) {
    for (const atOnce of [1, 32]) {
      const runs = new Map<string, Overhead[]>(all.map(({ name }) => [name, []]));
      for (let round = 0; round < rounds; round++) {
        for (const variant of all)
          runs.get(variant.name)!.push(await measure(variant, operation, atOnce, secondsEach / rounds));
      }
      rows.push({ operation, figures: [...runs.values()].map(median) });
    }
  }
  return rows;
}

async function measure(variant: Variant, operation: 'put' | 'get', atOnce: number, seconds: number): Promise<Overhead> {
  const started = performance.now();
  const before = process.cpuUsage();
  const end = started + seconds * 1000;
  let done = 0;
  const worker = async (from: number): Promise<void> => {
    const value = VALUE.slice();
    for (let i = from; performance.now() < end; i++) {
      // Equal values would not be written again.
      value[i % 1000] = (i % 26) + 0x61;
      const key = `k${(i * 31) % KEYS}`;
      await (operation === 'put' ? variant.put(key, value) : variant.get(key));
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, async (_, i) => worker(i * 37)));
  const { user, system } = process.cpuUsage(before);
  const elapsed = (performance.now() - started) / 1000;
  return { name: variant.name, atOnce, opsPerSecond: done / elapsed, cpuMicros: (user + system) / done };
}

function median(runs: readonly Overhead[]): Overhead {
  return runs.toSorted((a, b) => a.cpuMicros - b.cpuMicros)[Math.floor(runs.length / 2)]!;
}
