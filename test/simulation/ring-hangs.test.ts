/** Ring changes that nothing but one node can take on, which cannot at that moment: they must not wait for ever. */

import { expect, test } from 'vitest';
import type { PlanView } from '#operator/ring-plans.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { movingEntries } from '#repair/moved-rows.ts';
import { ALL_PLACES } from '#replica/floors.ts';
import { DiskError } from '#world/world.ts';
import { SimulatedCluster } from './cluster.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const OVER_MS = 90_000;

async function post(cluster: SimulatedCluster, id: string, path: string, body: unknown = {}): Promise<unknown> {
  const answer = await cluster.request(id, 'POST', path, { headers: JSON_TYPE, body: JSON.stringify(body) });
  const text = new TextDecoder().decode(answer.body);
  expect([answer.status < 300, text]).toEqual([true, expect.anything()]);
  return JSON.parse(text);
}

async function begin(cluster: SimulatedCluster, change: unknown, via: string): Promise<void> {
  const { id } = (await post(cluster, via, '/v1/ring/plans', change)) as PlanView;
  await post(cluster, via, `/v1/ring/plans/${id}/apply`);
}

async function waits(cluster: SimulatedCluster, id: string): Promise<void> {
  await cluster.simulation.settle(cluster.start(cluster.add(id, ['n1:7201', 'n2:7201'])));
  await cluster.simulation.run(cluster.simulation.now + 4000);
}

async function over(cluster: SimulatedCluster, via: string): Promise<void> {
  const ring = () => cluster.running(via).node.chain.facts()!.ring;
  const end = cluster.simulation.now + OVER_MS;
  await cluster.simulation.run(() => ring().change === undefined || cluster.simulation.now > end);
  expect([ring().change, ring().lastChange?.outcome]).toEqual([undefined, 'done']);
}

test('a new owner of strong keys that restarts before it votes takes the registers over when it serves', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'votes after a restart', nodes: 3 });
  const options = { headers: JSON_TYPE, body: '{"consistency":"strong"}' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/s', options)).status).toBeLessThan(300);
  await waits(cluster, 'n4');
  const { messaging } = cluster.running('n4').node;
  const call = messaging.call.bind(messaging);
  messaging.call = async (peer, type, request, how) =>
    type.name === 'register.page' ? { kind: 'lost', reason: 'timeout' } : await call(peer, type, request, how);
  await begin(cluster, { join: ['n4'] }, 'n1');
  const moving = () => movingEntries(cluster.running('n1').node.chain.facts()!.ring);
  await cluster.simulation.run(
    () => moving().length > 0 && moving().every(({ entry }) => entry.move!.stage === 'read-new'),
  );
  // It becomes a member and a voter meanwhile; then there are no more epochs before it votes.
  await cluster.simulation.run(cluster.simulation.now + 5000);
  cluster.crash(cluster.machine('n4'));
  await cluster.restart('n4');
  await over(cluster, 'n1');
});

test('a newcomer that starts again while it takes writes already takes them at once, by the floor that it has', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'a floor after a restart', nodes: 3 });
  const options = { headers: JSON_TYPE, body: '{"consistency":"strong"}' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/s', options)).status).toBeLessThan(300);
  await waits(cluster, 'n4');
  const floor = (): number => cluster.running('n4').node.replica.floors.of(ALL_PLACES);
  await begin(cluster, { join: ['n4'] }, 'n1');
  const stages = () =>
    movingEntries(cluster.running('n1').node.chain.facts()!.ring).map(({ entry }) => entry.move!.stage);
  await cluster.simulation.run(() => stages().includes('dual'));
  const learned = floor();
  expect(learned).toBeGreaterThan(0);
  cluster.crash(cluster.machine('n4'));
  await cluster.restart('n4');
  await over(cluster, 'n1');
  expect(floor()).toBe(learned);
});

test('the first voter cannot serve and can be reached: another drives the change that replaces it', async () => {
  const failure = new DiskError('failed', 'the disk is broken', true);
  let broken = false;
  const cluster = await SimulatedCluster.founded({
    seed: 'a driver that cannot',
    nodes: 4,
    disk: (disk, { id }) => {
      if (id !== 'n1') return disk;
      const fails = (): void => {
        if (broken) throw failure;
      };
      return new Proxy(disk, {
        get: (target, name) => {
          const member: unknown = Reflect.get(target, name, target);
          if (name === 'failure') return () => (broken ? failure : target.failure());
          if (typeof member !== 'function') return member;
          return (...args: unknown[]): unknown => {
            if (name === 'commit') fails();
            return Reflect.apply(member, target, args);
          };
        },
      });
    },
  });
  await waits(cluster, 'n5');
  broken = true;
  await cluster.simulation.run(cluster.simulation.now + 3000);
  expect(cluster.running('n1').node.ready()).toBe(false);
  await begin(cluster, { replace: { n1: 'n5' } }, 'n2');
  await cluster.simulation.run(cluster.simulation.now + 40_000);
  const { ring } = cluster.running('n2').node.chain.facts()!;
  expect(movingEntries(ring).filter(({ entry }) => entry.move!.stage === 'planned')).toEqual([]);
});

test('the disk of the first voter is full: another drives, and what that one has a part in waits for space', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'a driver without space', nodes: 5 });
  await waits(cluster, 'n6');
  const { medium } = cluster.machine('n1');
  medium.capacityBytes = medium.bytes;
  await begin(cluster, { join: ['n6'] }, 'n2');
  await cluster.simulation.run(cluster.simulation.now + 20_000);
  const { ring } = cluster.running('n2').node.chain.facts()!;
  const stages = movingEntries(ring).map(({ entry }) => entry.move!.stage);
  expect(
    ring.placements.flatMap(({ partitions }) => partitions).some(({ owners }) => owners.includes(nodeIndex(5))),
  ).toBe(true);
  expect(new Set(stages)).toEqual(new Set(['dual']));
  medium.capacityBytes = Number.POSITIVE_INFINITY;
  await over(cluster, 'n2');
});

test('a member that was away while all that it knew were replaced is told by those that are there', async () => {
  const cluster = await SimulatedCluster.founded({ seed: 'told', nodes: 3 });
  cluster.crash(cluster.machine('n3'));
  await waits(cluster, 'n4');
  await begin(cluster, { replace: { n1: 'n4' } }, 'n2');
  await over(cluster, 'n2');
  await waits(cluster, 'n5');
  await begin(cluster, { replace: { n2: 'n5' } }, 'n4');
  await over(cluster, 'n4');
  for (const id of ['n1', 'n2']) cluster.crash(cluster.machine(id));
  void cluster.start(cluster.machine('n3'));
  await cluster.simulation.run(cluster.simulation.now + 15_000);
  expect(cluster.running('n3').node.ready()).toBe(true);
});
