/** Writes to a bucket while it is being defined: whatever is acknowledged stays. */

import { expect, test } from 'vitest';
import { SimulatedCluster } from './cluster.ts';

const HEADERS = { 'content-type': 'application/json' };

test.each(['{"consistency":"strong"}', '{"n":1}', '{"n":2}'])(
  'a write under the new definition %s neither undoes it nor is lost with it',
  async (definition) => {
    const cluster = await SimulatedCluster.founded({ seed: `definition race ${definition}`, nodes: 3 });
    const body = new TextEncoder().encode(definition);
    const defining = cluster.running('n1').api('PUT', '/v1/buckets/s', HEADERS, body);
    const known = (): boolean => cluster.running('n2').node.buckets.resolve('s').version > 0;
    await cluster.simulation.run(known);
    const writing = Array.from({ length: 20 }, async (_, i) =>
      cluster.running('n2').api('PUT', `/v1/kv/s/k${i}`, {}, new Uint8Array(1)),
    );
    const [defined, ...written] = await cluster.simulation.settle(Promise.all([defining, ...writing]));
    await cluster.simulation.run(cluster.simulation.now + 5000);
    for (const [i, { status }] of written.entries()) {
      if (status !== 204) continue;
      expect((await cluster.request('n3', 'GET', `/v1/kv/s/k${i}`)).status).toBe(200);
    }
    expect(defined.status).toBe(200);
  },
);

test('a bucket whose node dies while it defines it is served again as it was', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'definer dies', nodes: 4 });
  expect((await cluster.request('n2', 'PUT', '/v1/buckets/s', { headers: HEADERS, body: '{"ttl":60}' })).status).toBe(
    200,
  );
  void cluster.running('n1').api('PUT', '/v1/buckets/s', HEADERS, new TextEncoder().encode('{"n":2}'));
  const frozen = (): boolean => cluster.running('n2').node.buckets.resolve('s').frozen === true;
  await cluster.simulation.run(frozen);
  cluster.crash(cluster.machine('n1'));
  expect((await cluster.request('n2', 'PUT', '/v1/kv/s/k', { body: 'v' })).status).toBe(503);
  await cluster.simulation.run(cluster.simulation.now + 60_000);
  // A request that defines it could still be under way.
  expect(frozen()).toBe(true);
  await cluster.simulation.run(cluster.simulation.now + 70_000);
  expect(frozen()).toBe(false);
  expect(cluster.running('n3').node.buckets.resolve('s').properties).toMatchObject({ n: 3, ttl: 60 });
  expect((await cluster.request('n2', 'PUT', '/v1/kv/s/k', { body: 'v' })).status).toBe(204);
});

test('a strong bucket does not become another while members are silent that may alone have a key', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'strong and silent', nodes: 5 });
  const define = (definition: string) =>
    cluster.request('n1', 'PUT', '/v1/buckets/s?timeout=20000', { headers: HEADERS, body: definition });
  expect((await define('{"consistency":"strong"}')).status).toBe(200);
  const located = await cluster.request('n1', 'GET', '/v1/ring/locate/s/k');
  const { primaries } = JSON.parse(new TextDecoder().decode(located.body)) as { primaries: string[] };
  const [first, second, third] = primaries;
  cluster.crash(cluster.machine(third!));
  expect((await cluster.request(first!, 'PUT', '/v1/kv/s/k?timeout=20000', { body: 'v' })).status).toBe(204);
  await cluster.restart(third!);
  cluster.crash(cluster.machine(first!));
  cluster.crash(cluster.machine(second!));
  await cluster.simulation.run(cluster.simulation.now + 20_000);
  const at = cluster.machines.find(({ running }) => running !== undefined)!.id;
  const body = '{"conflicts":"siblings"}';
  const answer = await cluster.request(at, 'PUT', '/v1/buckets/s?timeout=20000', { headers: HEADERS, body });
  expect(answer.status).toBe(503);
});
