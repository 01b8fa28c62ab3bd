/** A request with an idempotency key that is sent again when the key's owners have changed since: it was carried out, and is not again. */

import { expect, test } from 'vitest';
import { SimulatedCluster } from './cluster.ts';
import { requestName } from './messages-on-the-wire.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const KEYS = 12;
/** What brings a new owner up to date, and tells that it is. */
const TAKES_OVER = /^repair\.(nodes|leaves|keys|pull|rows)$/;

function text(body: Uint8Array): string {
  return new TextDecoder().decode(body);
}

test('new owners that have the state already take over what requests have become, too', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'retries move', nodes: 3 });
  const { simulation, network } = cluster;
  const request = (id: string, method: string, path: string, headers: Record<string, string> = {}, body = '') =>
    cluster.request(id, method, path, method === 'DELETE' || method === 'GET' ? { headers } : { headers, body });
  await request('n1', 'PUT', '/v1/buckets/b', JSON_TYPE, '{"conflicts":"siblings"}');
  const written = new Map<string, string>();
  for (let i = 0; i < KEYS; i++) {
    const path = `/v1/kv/b/k${i}`;
    const first = await request('n1', 'PUT', path, { 'idempotency-key': 'once' }, 'first');
    written.set(path, first.headers.get('etag')!);
  }
  for (const id of ['n4', 'n5']) await simulation.settle(cluster.start(cluster.add(id, ['n1:7201'])));
  await simulation.run(() => cluster.running('n1').node.chain.newcomers().length === 2);
  const wish = JSON.stringify({ replace: { n2: 'n4', n3: 'n5' } });
  const planned = await request('n1', 'POST', '/v1/ring/plans', JSON_TYPE, wish);
  const { id } = JSON.parse(text(planned.body)) as { id: string };
  for (const { host: a } of cluster.machines)
    for (const { host: b } of cluster.machines)
      if (a !== b) network.setFault(a, b, { loses: (message) => TAKES_OVER.test(requestName(message)) });
  expect((await request('n1', 'POST', `/v1/ring/plans/${id}/apply`)).status).toBe(202);
  const entries = () =>
    cluster
      .running('n1')
      .node.chain.facts()!
      .ring.placements.flatMap(({ partitions }) => partitions);
  const inDual = () => entries().some(({ move }) => move?.stage === 'dual');
  // Few partitions move at once, so each key is written again when its partition does.
  const replaced = new Set<string>();
  const moving = (): boolean => cluster.running('n1').node.chain.facts()!.ring.change !== undefined;
  await simulation.run(inDual);
  for (const path of written.keys()) {
    const read = await request('n1', 'GET', path);
    const context = { 'quoral-context': read.headers.get('quoral-context')! };
    expect((await request('n1', 'PUT', `${path}?w=all`, context, 'second')).status).toBe(204);
    replaced.add(path);
  }
  network.clearFaults();
  await simulation.run(() => !moving(), simulation.now + 120_000);
  expect(moving()).toBe(false);
  for (const [path, etag] of written) {
    const again = await request('n4', 'PUT', path, { 'idempotency-key': 'once' }, 'first');
    expect([path, again.status, again.headers.get('etag')]).toEqual([path, 204, etag]);
    const read = await request('n1', 'GET', path);
    expect([path, read.status, text(read.body)]).toEqual([path, 200, 'second']);
  }
}, 60_000);
