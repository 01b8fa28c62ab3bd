/**
 * Two versions of the protocol between nodes in one cluster: upgraded one node at a time, with writes and reads through every
 * node at every step, and back again.
 */

import { expect, test } from 'vitest';
import { MOVES_VERSION, NUMBERED_VERSION, PROTOCOL_VERSIONS, type VersionRange } from '#wire/handshake.ts';
import { SimulatedLog } from '#world/simulated/log.ts';
import { SimulatedCluster } from './cluster.ts';

const FORMER: VersionRange = { lowest: 1, highest: 1 };

/** Each node writes a key, and every node reads all of them. */
async function everyNodeServes(cluster: SimulatedCluster, step: string): Promise<void> {
  const written = new Map<string, string>();
  for (let i = 0; i < 12; i++) {
    const { id } = cluster.machines[i % cluster.machines.length]!;
    const path = `/v1/kv/b/key-${i}`;
    const value = `${step} through ${id}`;
    expect((await cluster.request(id, 'PUT', `${path}?w=all`, { body: value })).status, `${step}, ${id}`).toBe(204);
    written.set(path, value);
  }
  for (const { id } of cluster.machines) {
    for (const [path, value] of written) {
      const answer = await cluster.request(id, 'GET', `${path}?r=all`);
      expect([answer.status, new TextDecoder().decode(answer.body)], `${step}, ${id}`).toEqual([200, value]);
    }
  }
}

async function restart(cluster: SimulatedCluster, id: string): Promise<void> {
  const others = cluster.machines.filter((machine) => machine.id !== id);
  await cluster.simulation.settle(cluster.stop(cluster.machine(id)));
  // What the others serve meanwhile does not depend on how they were told of the stop.
  for (const other of others) {
    expect((await cluster.request(other.id, 'PUT', '/v1/kv/b/meanwhile', { body: id })).status).toBe(204);
  }
  await cluster.restart(id);
  await cluster.simulation.run(() =>
    cluster.machines.every(({ running, id: from }) =>
      cluster.machines.every((to) => to.id === from || running?.node.messaging.reachable(to.id) === true),
    ),
  );
}

test('the first and the newest version serve together in every mixture, upgraded and downgraded one node at a time', async () => {
  const versions = new Map<string, VersionRange>([
    ['n1', FORMER],
    ['n2', FORMER],
    ['n3', FORMER],
  ]);
  const log = new SimulatedLog();
  const cluster = await SimulatedCluster.founded({
    seed: 4,
    nodes: 3,
    log,
    protocolVersions: (id) => versions.get(id)!,
  });
  await everyNodeServes(cluster, 'all of version 1');
  for (const id of ['n1', 'n2', 'n3']) {
    versions.set(id, PROTOCOL_VERSIONS);
    await restart(cluster, id);
    await everyNodeServes(cluster, `${id} upgraded`);
  }
  const spoken = new Set(
    log.entries.flatMap(({ event, fields }) => (event === 'peer-connected' ? [fields['version']] : [])),
  );
  expect(spoken).toEqual(new Set([1, PROTOCOL_VERSIONS.highest, undefined]));
  versions.set('n2', FORMER);
  await restart(cluster, 'n2');
  await everyNodeServes(cluster, 'n2 downgraded');
});

test('a node that has given version 1 up is told apart from one that knows nothing else, by name', async () => {
  const log = new SimulatedLog();
  const versions: Record<string, VersionRange> = { n1: FORMER, n2: FORMER, n3: { lowest: 2, highest: 2 } };
  const cluster = new SimulatedCluster({ seed: 5, nodes: 3, log, protocolVersions: (id) => versions[id]! });
  await cluster.simulation.settle(Promise.all(cluster.machines.map(async (machine) => cluster.start(machine))));
  await cluster.simulation.run(() => cluster.running('n1').node.ready() && cluster.running('n2').node.ready());
  expect((await cluster.request('n1', 'PUT', '/v1/kv/b/k', { body: 'x' })).status).toBe(204);
  expect(cluster.running('n3').node.ready()).toBe(false);
  const details = log.entries.flatMap(({ event, fields }) => (event === 'peer-refused' ? [fields['detail']] : []));
  expect(details).toContain('n1 speaks protocol versions 1..1, n3 speaks 2..2');
});

test('a ring change waits for the upgrade of all that it needs, who are named', async () => {
  const versions = new Map<string, VersionRange>([['n2', { lowest: 1, highest: MOVES_VERSION - 1 }]]);
  const cluster = await SimulatedCluster.founded({
    seed: 6,
    nodes: 3,
    protocolVersions: (id) => versions.get(id) ?? PROTOCOL_VERSIONS,
  });
  await cluster.simulation.settle(cluster.start(cluster.add('n4', ['n1:7201'])));
  await cluster.simulation.run(cluster.simulation.now + 5000);
  const post = async (path: string, body: unknown): Promise<readonly [number, unknown]> => {
    const headers = { 'content-type': 'application/json' };
    const answer = await cluster.request('n1', 'POST', path, { headers, body: JSON.stringify(body) });
    return [answer.status, JSON.parse(new TextDecoder().decode(answer.body))];
  };
  const apply = async (): Promise<readonly [number, unknown]> => {
    const [, plan] = await post('/v1/ring/plans', { join: ['n4'] });
    return await post(`/v1/ring/plans/${(plan as { id: string }).id}/apply`, {});
  };
  const { epoch } = cluster.running('n1').node.chain.facts()!;
  const [status, problem] = await apply();
  expect([status, (problem as { detail: string }).detail]).toEqual([
    409,
    'n2 runs a version that does not know how partitions move: nothing was changed; upgrade first, then plan again',
  ]);
  expect(cluster.running('n1').node.chain.facts()!.epoch).toBe(epoch);
  versions.clear();
  await cluster.simulation.settle(cluster.stop(cluster.machine('n2')));
  await cluster.restart('n2');
  await cluster.simulation.run(
    () => cluster.running('n1').node.messaging.versionOf('n2' as never) === PROTOCOL_VERSIONS.highest,
  );
  expect((await apply())[0]).toBe(202);
});

test('what a client says of requests that are over counts when all members know what that is', async () => {
  const versions = new Map<string, VersionRange>([['n3', { lowest: 1, highest: NUMBERED_VERSION - 1 }]]);
  const cluster = await SimulatedCluster.founded({
    seed: 7,
    nodes: 3,
    protocolVersions: (id) => versions.get(id) ?? PROTOCOL_VERSIONS,
  });
  const definition = { headers: { 'content-type': 'application/json' }, body: '{"consistency":"strong"}' };
  expect((await cluster.request('n1', 'PUT', '/v1/buckets/s', definition)).status).toBe(200);
  const remembered = (): number => {
    const name = { bucket: 's', incarnation: 0, key: new TextEncoder().encode('k') };
    return cluster.running('n1').node.coordinator.strong.rows.held(name)!.keyed.length;
  };
  const send = async (number: number, at: string): Promise<number> => {
    const headers = { 'idempotency-key': `s:${number}`, 'quoral-answered-below': String(number) };
    return (await cluster.request(at, 'PUT', '/v1/kv/s/k', { headers, body: `v${number}` })).status;
  };
  for (const number of [1, 2, 3]) expect(await send(number, `n${1 + (number % 2)}`)).toBe(204);
  expect(remembered()).toBe(3);
  versions.clear();
  await restart(cluster, 'n3');
  for (const number of [4, 5, 6]) expect(await send(number, `n${number - 3}`)).toBe(204);
  // Those that were made before are kept for the whole window; of the others the last.
  expect(remembered()).toBe(4);
  expect([await send(5, 'n3'), await send(1, 'n2')]).toEqual([422, 204]);
  expect(new TextDecoder().decode((await cluster.request('n2', 'GET', '/v1/kv/s/k')).body)).toBe('v6');
});
