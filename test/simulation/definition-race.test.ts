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
