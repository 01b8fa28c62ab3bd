/** A node that wants to join: it finds the cluster by a seed, waits, is seen, and is forgotten when it goes away. */

import { expect, test } from 'vitest';
import type { ClusterView } from '#api/services.ts';
import { EpochTables } from '#consensus/epoch-tables.ts';
import { epoch } from '#kernel/identity.ts';
import type { Ring } from '#ring/ring.ts';
import { SimulatedCluster, type Machine } from './cluster.ts';

interface PlanBody {
  readonly summary: { readonly risks: readonly { readonly code: string; readonly detail: string }[] };
}

const SEEDS = ['n1:7201', 'n2:7201'];

async function three(): Promise<SimulatedCluster> {
  return await SimulatedCluster.founded({ seed: 'joining', nodes: 3 });
}

async function start(cluster: SimulatedCluster, machine: Machine): Promise<void> {
  await cluster.simulation.settle(cluster.start(machine));
}

async function pass(cluster: SimulatedCluster, milliseconds: number): Promise<void> {
  await cluster.simulation.run(cluster.simulation.now + milliseconds);
}

async function view(cluster: SimulatedCluster, id: string): Promise<ClusterView> {
  const answer = await cluster.request(id, 'GET', '/v1/cluster');
  return JSON.parse(new TextDecoder().decode(answer.body)) as ClusterView;
}

async function joining(cluster: SimulatedCluster, asked: string): Promise<string[]> {
  const { members } = await view(cluster, asked);
  return members.flatMap(({ id, peer, state }) => (state === 'joining' ? [`${id} ${peer}`] : []));
}

/** Decides another ring, as a plan will. */
async function change(cluster: SimulatedCluster, next: (ring: Ring) => Ring): Promise<void> {
  const { chain } = cluster.running('n1').node;
  const deadline = cluster.simulation.now + 5000;
  const result = await cluster.simulation.settle(
    chain.propose((facts) => ({ ...facts, epoch: epoch(facts.epoch + 1), ring: next(facts.ring) }), deadline),
  );
  expect(result.kind).toBe('decided');
}

test('it learns the facts, waits as joining at every node, and refuses data with the reason', async () => {
  const cluster = await three();
  await start(cluster, cluster.add('n4', SEEDS));
  await pass(cluster, 5000);
  for (const id of ['n1', 'n2', 'n3', 'n4']) expect(await joining(cluster, id), id).toEqual(['n4 n4:7201']);
  const own = cluster.running('n4').node;
  expect(own.clusterId).toBe(cluster.running('n1').node.clusterId);
  expect(own.chain.facts()).toEqual(cluster.running('n1').node.chain.facts());
  const answer = await cluster.request('n4', 'PUT', '/v1/kv/b/k', { body: 'v' });
  expect(answer.status).toBe(503);
  const { detail } = JSON.parse(new TextDecoder().decode(answer.body)) as { detail: string };
  expect(detail).toMatch(/waits to join: epoch \d+ does not name n4 as a member/);
  // The others do not miss anything.
  expect((await cluster.request('n1', 'PUT', '/v1/kv/b/k?w=all', { body: 'v' })).status).toBe(204);
  await change(cluster, (ring) => ring);
  await pass(cluster, 3000);
  expect(own.chain.facts()?.epoch).toBe(cluster.running('n1').node.chain.facts()?.epoch);
});

test('one that nobody can reach at the address that it names is shown so, and a plan minds it', async () => {
  const cluster = await three();
  await start(cluster, cluster.add('n4', SEEDS));
  await start(cluster, cluster.add('n5', SEEDS));
  cluster.network.closeDoor('n5:7201', cluster.network.door('n5:7201')!);
  await pass(cluster, 5000);
  for (const id of ['n1', 'n2', 'n3']) {
    const waiting = (await view(cluster, id)).members.filter(({ state }) => state === 'joining');
    expect(waiting, id).toMatchObject([
      { id: 'n4', reachable: true },
      { id: 'n5', reachable: false },
    ]);
  }
  const answer = await cluster.request('n1', 'POST', '/v1/ring/plans', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ join: ['n4', 'n5'] }),
  });
  const { summary } = JSON.parse(new TextDecoder().decode(answer.body)) as PlanBody;
  expect(summary.risks.filter(({ code }) => code === 'unreachable').map(({ detail }) => detail)).toEqual([
    'n5 cannot be reached at n5:7201, as it says of itself: the change would wait until it can',
  ]);
});

test('it is forgotten when it goes away, and goes on without seeds when it comes back', async () => {
  const cluster = await three();
  const machine = cluster.add('n4', SEEDS);
  await start(cluster, machine);
  await pass(cluster, 5000);
  cluster.crash(machine);
  await pass(cluster, 15_000);
  expect(await joining(cluster, 'n1')).toEqual([]);
  Object.assign(machine, { seeds: ['nowhere:1'] });
  await start(cluster, machine);
  await pass(cluster, 5000);
  expect(await joining(cluster, 'n3')).toEqual(['n4 n4:7201']);
});

test('a member that a later epoch names begins to serve', async () => {
  const cluster = await three();
  await start(cluster, cluster.add('n4', SEEDS));
  await pass(cluster, 5000);
  const [newcomer] = cluster.running('n1').node.chain.newcomers();
  await change(cluster, (ring) => {
    const member = { ...ring.members[0]!, ...newcomer, index: 3, state: 'active' } as Ring['members'][number];
    return { ...ring, members: [...ring.members, member] };
  });
  await cluster.simulation.run(() => cluster.running('n4').node.ready());
  expect(await joining(cluster, 'n1')).toEqual([]);
  expect((await cluster.request('n4', 'PUT', '/v1/kv/b/k', { body: 'v' })).status).toBe(204);
  expect((await cluster.request('n1', 'GET', '/v1/kv/b/k')).status).toBe(200);
});

test('without a seed that answers it says so, and finds the cluster later', async () => {
  const cluster = await three();
  for (const id of ['n1', 'n2', 'n3']) cluster.crash(cluster.machine(id));
  await start(cluster, cluster.add('n4', ['n1:7201']));
  await pass(cluster, 3000);
  expect(cluster.running('n4').node.notReadyReason()).toMatch(/no seed has told it of a cluster yet: n1:7201 \(/);
  expect(await view(cluster, 'n4')).toMatchObject({ clusterId: '', epoch: 0, members: [] });
  await start(cluster, cluster.machine('n1'));
  await pass(cluster, 10_000);
  // What n1 has decided it may tell, though it does not serve alone.
  expect(await joining(cluster, 'n1')).toEqual(['n4 n4:7201']);
});

test('a name that is taken is refused, and the disk stays free of the cluster', async () => {
  const cluster = await three();
  const machine = { ...cluster.add('x2', ['n1:7201']), id: cluster.machine('n2').id };
  await start(cluster, machine);
  await pass(cluster, 5000);
  const { node, world } = machine.running!;
  expect(node.notReadyReason()).toMatch(/n2 is a member at n2:7201 with another disk: choose another --id/);
  expect(new EpochTables(world.digest).newest(world.disk)).toBeUndefined();
  expect(await joining(cluster, 'n1')).toEqual([]);
});

test('another secret is refused, and the reason is told', async () => {
  const cluster = await three();
  const machine = cluster.add('n4', ['n1:7201']);
  Object.assign(machine, { secret: new TextEncoder().encode('the secret of another cluster') });
  await start(cluster, machine);
  await pass(cluster, 5000);
  expect(machine.running!.node.notReadyReason()).toMatch(/n1:7201 \(refused by the peer: wrong-secret\)/);
});

test('a member with an empty disk comes back by seeds to its name and place', async () => {
  const cluster = await three();
  const lost = cluster.machine('n3');
  cluster.crash(lost);
  const machine = { ...cluster.add('x3', SEEDS, 'n3:7201'), id: lost.id, host: lost.host };
  await start(cluster, machine);
  await cluster.simulation.run(() => machine.running!.node.ready());
  expect(await joining(cluster, 'n1')).toEqual([]);
  const [, , member] = cluster.running('n1').node.chain.facts()!.ring.members;
  expect(member).toMatchObject({
    id: 'n3',
    storageId: machine.running!.node.chain.facts()!.ring.members[2]!.storageId,
  });
});

test('a disk that was removed cannot talk its way back, a new one of that name may', async () => {
  const cluster = await three();
  const machine = cluster.add('n4', SEEDS);
  await start(cluster, machine);
  await pass(cluster, 5000);
  const [newcomer] = cluster.running('n1').node.chain.newcomers();
  await change(cluster, (ring) => {
    const member = { ...ring.members[0]!, ...newcomer, index: 3, state: 'removed' } as Ring['members'][number];
    return { ...ring, members: [...ring.members, member] };
  });
  await pass(cluster, 5000);
  expect(machine.running!.node.notReadyReason()).toMatch(/has removed n4 with this disk/);
  expect(await joining(cluster, 'n1')).toEqual([]);
  expect(await joining(cluster, 'n4')).toEqual([]);
  cluster.crash(machine);
  const again = { ...cluster.add('y4', SEEDS, 'n4:7201'), id: machine.id, host: machine.host };
  await start(cluster, again);
  await pass(cluster, 5000);
  expect(await joining(cluster, 'n2')).toEqual(['n4 n4:7201']);
});
