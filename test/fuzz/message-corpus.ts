/**
 * What nodes really say to each other: requests recorded from a simulated cluster at work, as a start for damage. Every
 * message that the sources declare is known by name, also those that were not heard.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeEnvelope } from '#wire/envelope.ts';
import { SimulatedCluster } from '../simulation/cluster.ts';

const SOURCES = new URL('../../src', import.meta.url).pathname;
/** Requests kept of each name. */
const KEPT_MAX = 12;

export interface Heard {
  readonly name: string;
  readonly body: unknown;
}

/** The names of all messages in the sources. */
export function messageNames(): readonly string[] {
  const names = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .flatMap((path) => [
      ...readFileSync(join(SOURCES, path), 'utf8').matchAll(
        /^(?: +name:|export const [A-Z_]+_NAME =) '([a-z]+\.[a-z-]+)'[,;]$/gm,
      ),
    ])
    .map((match) => match[1]!);
  return [...new Set(names)].toSorted();
}

export async function recordCorpus(): Promise<readonly Heard[]> {
  const heard: Heard[] = [];
  const counts = new Map<string, number>();
  const cluster = new SimulatedCluster({ seed: 1, nodes: 3 });
  const record = (message: Uint8Array): boolean => {
    const envelope = decodeEnvelope(message);
    if (envelope.kind !== 'request') return false;
    const count = counts.get(envelope.name) ?? 0;
    counts.set(envelope.name, count + 1);
    if (count < KEPT_MAX) heard.push({ name: envelope.name, body: envelope.body });
    return false;
  };
  for (const from of cluster.machines)
    for (const to of cluster.machines) if (from !== to) cluster.network.setFault(from.host, to.host, { loses: record });
  const { simulation } = cluster;
  await simulation.settle(Promise.all(cluster.machines.map((machine) => cluster.start(machine))));
  await simulation.run(() => cluster.machines.every(({ running }) => running?.node.ready() === true));
  await work(cluster);
  return heard;
}

const ADDING = { type: 'set', with: { op: 'add', values: [1, { a: [true] }] } };

async function work(cluster: SimulatedCluster): Promise<void> {
  const json = { 'content-type': 'application/json' };
  await cluster.request('n1', 'PUT', '/v1/buckets/s', { headers: json, body: '{"conflicts":"siblings"}' });
  await cluster.request('n2', 'PUT', '/v1/buckets/one', { headers: json, body: '{"n":1}' });
  await cluster.request('n3', 'PUT', '/v1/buckets/maps', { headers: json, body: '{"type":"map","n":1}' });
  for (let i = 0; i < 12; i++) {
    const id = `n${(i % 3) + 1}`;
    await cluster.request(id, 'PUT', `/v1/kv/s/k${i % 3}`, { headers: { 'quoral-meta-a': 'b' }, body: `value ${i}` });
    await cluster.request(id, 'PUT', `/v1/kv/one/k${i}`, { body: 'x' });
    await cluster.request(id, 'PUT', `/v1/kv/plain/k${i}?return=body`, { body: 'x' });
    await cluster.request(id, 'GET', `/v1/kv/s/k${i % 3}`);
    await cluster.request(id, 'DELETE', `/v1/kv/plain/k${i}`);
    const inner = i % 2 === 0 ? { type: 'counter', with: { op: 'increment', by: i } } : ADDING;
    const body = JSON.stringify({ op: 'update', field: `f${i % 2}`, ...inner });
    await cluster.request(id, 'POST', `/v1/kv/maps/k${i}`, { headers: json, body });
  }
  const watched = cluster.running('n2').api('GET', '/v1/watch/many?timeout=1500');
  await cluster.simulation.run(cluster.simulation.now + 100);
  const operations = Array.from({ length: 6 }, (_, i) => ({ op: 'put', bucket: 'many', key: `k${i}`, value: 'x' }));
  const own = operations.map((operation) => ({ ...operation, bucket: 'one' }));
  const body = JSON.stringify({ operations: [...operations, ...own, { op: 'get', bucket: 'many', key: 'k0' }] });
  await cluster.request('n1', 'POST', '/v1/batch', { headers: json, body });
  await cluster.request('n3', 'GET', '/v1/kv/many?limit=3');
  await cluster.simulation.settle(watched);
  await cluster.request('n3', 'PUT', '/v1/buckets/one', { headers: json, body: '{"n":2}' });
  await cluster.request('n3', 'DELETE', '/v1/buckets/s');
}
