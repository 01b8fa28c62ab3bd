/** Ring changes of real nodes under load: whatever was acknowledged stays, strict reads see it, and kill -9 stops nothing. */

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { RingLoad } from './ring-load.ts';
import { RingCluster, type Transfers } from './ring-support.ts';

const KEYS = 800;
/** Bytes a second of each node, so that there is a middle to kill in. */
const SLOW = 40_000;

test('1 → 2 → 3 nodes, a dead one replaced, and back to 1', async () => {
  const cluster = await RingCluster.start(1, 4);
  const url = (id: string): string => cluster.url(id);
  const load = new RingLoad(KEYS, [url('n1')]);
  const change = async (via: string, body: unknown): Promise<void> => {
    await cluster.begin(via, body);
    expect((await cluster.settled(via)).last).toMatchObject({ outcome: 'done' });
  };
  try {
    await load.fill();
    load.start();
    for (const id of ['n2', 'n3', 'n4']) cluster.restart(id);
    await change('n1', { join: ['n2'] });
    load.ask([url('n1'), url('n2')]);
    await change('n2', { join: ['n3'] });
    load.ask([url('n1'), url('n2'), url('n3')]);
    await sleep(300);
    await cluster.nodes.signal('n3', 'SIGKILL');
    await change('n1', { replace: { n3: 'n4' } });
    expect(await cluster.members('n4')).toEqual({ n1: 'active', n2: 'active', n4: 'active' });
    // Clients go to the one that stays before the others leave.
    load.ask([url('n2')]);
    await change('n2', { leave: ['n1', 'n4'] });
    expect(await cluster.members('n2')).toEqual({ n2: 'active' });
    expect((await load.end(url('n2'))).slice(0, 5)).toEqual([]);
    expect(load.requests).toBeGreaterThan(KEYS);
  } finally {
    await cluster.nodes.stop();
  }
});

test('kill -9 of the target, the driver and a source in the middle: it goes on by itself from where it was', async () => {
  const cluster = await RingCluster.start(3, 4);
  const load = new RingLoad(
    KEYS,
    ['n1', 'n2', 'n3'].map((id) => cluster.url(id)),
  );
  const past = (done: number) => (view: Transfers) => view.done > done;
  const killed = async (id: string, via: string): Promise<void> => {
    await cluster.nodes.signal(id, 'SIGKILL');
    const { id: change, done } = await cluster.transfers(via);
    expect([id, change]).not.toEqual([id, null]);
    // Others go on without a driver or a source; nothing can come to a target that is away.
    if (id !== 'n4') await cluster.until(via, past(done));
    cluster.restart(id);
    await cluster.until(via, past(done));
    // One at a time, or no majority is left to serve; and it must not come to its end meanwhile.
    await cluster.steer(via, 'pause');
    await cluster.back(id);
    const { done: then } = await cluster.transfers(via);
    await cluster.steer(via, 'resume');
    await cluster.until(via, past(then));
  };
  try {
    await load.fill();
    load.start();
    cluster.restart('n4');
    const id = await cluster.begin('n2', { join: ['n4'] }, SLOW);
    await cluster.until('n2', past(0));
    await killed('n4', 'n2');
    await killed('n1', 'n3');
    await killed('n2', 'n3');
    expect((await cluster.settled('n3')).last).toEqual({ id, outcome: 'done' });
    await cluster.nodes.ready();
    expect(await cluster.members('n1')).toEqual({ n1: 'active', n2: 'active', n3: 'active', n4: 'active' });
    expect((await load.end(cluster.url('n4'))).slice(0, 5)).toEqual([]);
  } finally {
    await cluster.nodes.stop();
  }
});
