/** `--seeds` with real processes: a node finds the cluster, waits, and is seen by people. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePorts } from './ports.ts';
import { http, runQuoral, TestCluster, until } from './support.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.prepare(2);
  cluster.startNode('n1', ['--initial-cluster', `n1=${cluster.peer('n1')}`]);
  await cluster.ready(['n1']);
});

afterAll(async () => {
  await cluster.stop();
});

async function look(
  id: string,
): Promise<{ readonly clusterId: string; readonly members: readonly { id: string; state: string }[] }> {
  return JSON.parse((await http('GET', `${cluster.url(id)}/v1/cluster`)).body.toString()) as Awaited<
    ReturnType<typeof look>
  >;
}

test('it waits as joining, also after kill -9 and without its seeds', async () => {
  const join = async (seed: string): Promise<void> => {
    cluster.startNode('n2', ['--initial-cluster', '', '--seeds', seed, '--join-interval', '100ms']);
    await until('n2 waits', async () => {
      const views = await Promise.all(['n1', 'n2'].map(look));
      return views.every(({ members }) => members.length === 2);
    });
  };
  await join(cluster.peer('n1'));
  const [own, others] = [await look('n2'), await look('n1')];
  expect(own.clusterId).toBe(others.clusterId);
  expect(others.members).toMatchObject([
    { id: 'n1', state: 'active' },
    { id: 'n2', state: 'joining' },
  ]);
  const refused = await http('GET', `${cluster.url('n2')}/v1/kv/b/k`);
  expect([refused.status, refused.body.toString()]).toEqual([503, expect.stringContaining('waits to join')]);
  expect((await http('GET', `${cluster.url('n2')}/readyz`)).status).toBe(503);
  const { stdout } = await runQuoral(['ring', 'status', '--url', cluster.url('n1')]);
  expect(stdout).toMatch(/n2 +joining +yes/);
  const plan = await runQuoral([
    'ring',
    'plan',
    '--join',
    'n2',
    '--weight',
    'n2=3',
    '--moves',
    '--url',
    cluster.url('n1'),
  ]);
  expect(plan.stdout).toMatch(/^plan [0-9a-f]{16}, made for epoch \d+; nothing has been changed\n/);
  expect(plan.stdout).toMatch(/n2 +joins +default +3 +0 +256 +256 +0 +0 +0 B/);
  expect(plan.stdout).toContain('n=3: 1 -> 2 replicas in at least 1 zones');
  expect(plan.stdout).toContain('256 replicas of partitions move (no ring as even needs fewer): about 0 keys');
  const wrong = await runQuoral(['ring', 'plan', '--weight', 'n2', '--url', cluster.url('n1')]);
  expect([wrong.status, wrong.stderr]).toEqual([1, 'quoral: --weight n2: must be ID=NUMBER, such as n3=2\n']);
  await cluster.signal('n2', 'SIGKILL');
  await join('127.0.0.1:1');
});

test('a start with seeds that cannot be meant says what is wrong', async () => {
  const [port] = await freePorts(1);
  const peer = `127.0.0.1:${port!}`;
  const start = async (...args: string[]): Promise<string> =>
    (await runQuoral(['node', '--data-dir', `${cluster.directory}/none`, '--peer-listen', peer, ...args])).stderr;
  expect(await start('--seeds', peer)).toContain(`${peer} is this node; name a member of the cluster`);
  expect(await start('--seeds', cluster.peer('n1'), '--initial-cluster', `n1=${peer}`)).toMatch(
    /setting seeds .*initial-cluster .*founds a cluster and seeds join one; give one of them/,
  );
});
