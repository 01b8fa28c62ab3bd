/** One node that takes a hundred times as long as the others cannot take them with it. */

import { expect, test } from 'vitest';
import { SimulatedCluster } from './cluster.ts';

const KEYS = 60;
const REQUESTS = 400;
const SLOW = 'n4';

interface Latencies {
  /** Of requests whose key the slow node does not own. */
  readonly elsewhere: number;
  readonly all: number;
  readonly failed: number;
}

/** A request every five virtual milliseconds, at the three other nodes in turn. */
async function underLoad(cluster: SimulatedCluster, ownedBySlow: (key: number) => boolean): Promise<Latencies> {
  const { simulation } = cluster;
  const took: { key: number; milliseconds: number; status: number }[] = [];
  for (let i = 0; i < REQUESTS; i++) {
    const key = i % KEYS;
    const from = simulation.now;
    const api = cluster.running(`n${1 + (i % 3)}`).api;
    const body = new TextEncoder().encode(`value ${i}`);
    const target = `/v1/kv/slow/key${key}`;
    const asked = i % 2 === 0 ? api('PUT', target, {}, body) : api('GET', target);
    void asked.then(({ status }) => took.push({ key, milliseconds: simulation.now - from, status }));
    await simulation.run(simulation.now + 5);
  }
  await simulation.run(() => took.length === REQUESTS);
  const p99 = (wanted: (key: number) => boolean): number => {
    const sorted = took.filter(({ key }) => wanted(key)).map(({ milliseconds }) => milliseconds);
    return sorted.sort((a, b) => a - b)[Math.floor(0.99 * sorted.length)]!;
  };
  return {
    elsewhere: p99((key) => !ownedBySlow(key)),
    all: p99(() => true),
    failed: took.filter(({ status }) => status >= 500).length,
  };
}

test('requests that do not need a slow node do not notice it, and hardly any that could', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'slow peer', nodes: 4 });
  const owners = await Promise.all(
    Array.from({ length: KEYS }, async (_, key) => {
      const { body } = await cluster.running('n1').api('GET', `/v1/ring/locate/slow/key${key}`);
      return (JSON.parse(new TextDecoder().decode(body)) as { primaries: string[] }).primaries;
    }),
  );
  const ownedBySlow = (key: number): boolean => owners[key]!.includes(SLOW);
  expect(owners.filter((primaries) => !primaries.includes(SLOW)).length).toBeGreaterThan(5);

  const before = await underLoad(cluster, ownedBySlow);
  const slow = cluster.machine(SLOW);
  for (const other of cluster.machines) {
    // Usually a message takes 0.3 ms.
    if (other !== slow) cluster.network.setFault(other.host, slow.host, { delay: 30 });
  }
  slow.medium.extraSyncMilliseconds = 100;
  const during = await underLoad(cluster, ownedBySlow);
  expect(before.failed + during.failed).toBe(0);
  expect(during.elsewhere).toBeLessThan(2 * before.elsewhere);
  // Until it is known that it is slow, some have to wait for it.
  expect(during.all).toBeLessThan(100);
});
