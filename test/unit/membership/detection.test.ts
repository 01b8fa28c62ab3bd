/** What the cluster believes of its members when they freeze, die, are cut off, come back, or when the network is bad. */

import { describe, expect, test } from 'vitest';
import type { NodeId } from '#kernel/identity.ts';
import { ProbeMessage } from '#membership/messages.ts';
import { VirtualMembers } from './virtual-members.ts';

describe.each([3, 5])('%i members', (count) => {
  test('one that freezes is doubted by all within 2 s without a request to it, dead soon, and used again when it goes on', async () => {
    const cluster = await VirtualMembers.started(count, `freeze ${count}`);
    expect(cluster.allUsable()).toBe(true);
    const frozen = cluster.members[1]!;
    const others = cluster.others(frozen);
    frozen.host.pause();
    const doubted = await cluster.until(() => others.every(({ peers }) => !peers.usable(frozen.id)));
    expect(doubted).toBeLessThan(2000);
    const dead = await cluster.until(() => others.every(({ membership }) => membership.standing(frozen.id) === 'dead'));
    expect(doubted + dead).toBeLessThan(10_000);
    await cluster.pass(30_000 - doubted - dead);
    // The others have not fallen out with each other.
    for (const one of others)
      expect(
        cluster.beliefsOf(
          one,
          others.filter((o) => o !== one),
        ),
      ).toEqual(new Set(['alive']));
    frozen.host.resume();
    const back = await cluster.until(() => cluster.allUsable());
    expect(back).toBeLessThan(3000);
    // A late event loop accuses nobody: the one that was frozen has found no one dead.
    const suspected = frozen.world.metrics.value('quoral_member_verdicts_total', { standing: 'suspect' });
    expect(suspected).toBe(0);
    expect(frozen.world.metrics.value('quoral_event_loop_late_total')).toBeGreaterThan(0);
  });

  test('one that is killed and started again is used again', async () => {
    const cluster = await VirtualMembers.started(count, `kill ${count}`);
    const victim = cluster.members[0]!;
    victim.host.kill();
    await cluster.until(() =>
      cluster.others(victim).every(({ membership }) => membership.standing(victim.id) === 'dead'),
    );
    await cluster.start(victim);
    expect(await cluster.until(() => cluster.allUsable())).toBeLessThan(8000);
    await cluster.pass(1000);
    expect(cluster.beliefsOf(victim)).toEqual(new Set(['alive']));
  });

  test('a stop is told, not found out', async () => {
    const cluster = await VirtualMembers.started(count, `stop ${count}`);
    const leaver = cluster.members[0]!;
    await cluster.simulation.settle(leaver.membership.stop());
    await cluster.simulation.settle(leaver.messaging.stop());
    leaver.host.kill();
    await cluster.pass(200);
    expect(cluster.beliefsOf(leaver)).toEqual(new Set(['left']));
    expect(cluster.verdicts('suspect')).toBe(0);
    await cluster.start(leaver);
    expect(await cluster.until(() => cluster.allUsable())).toBeLessThan(8000);
  });

  test('a partition of ten minutes heals by itself', async () => {
    const cluster = await VirtualMembers.started(count, `partition ${count}`);
    const [one, ...rest] = cluster.members;
    for (const other of rest) cluster.network.partition(one!.host, other.host);
    await cluster.pass(600_000);
    expect(cluster.beliefsOf(one!)).toEqual(new Set(['dead']));
    for (const other of rest) cluster.network.heal(one!.host, other.host);
    expect(await cluster.until(() => cluster.allUsable())).toBeLessThan(10_000);
  });

  test('all that restart at once, without a word to each other, are alive to each other again', async () => {
    const cluster = await VirtualMembers.started(count, `mass restart ${count}`);
    for (const { host } of cluster.members) host.kill();
    await cluster.pass(50);
    for (const member of cluster.members) await cluster.start(member);
    expect(await cluster.until(() => cluster.allUsable())).toBeLessThan(8000);
  });
});

test('those who hear each other stay of use to each other when one that was cut off comes back and calls all dead', async () => {
  const cluster = await VirtualMembers.started(5, 'says dead');
  const one = cluster.members[0]!;
  const rest = cluster.others(one);
  for (const other of rest) cluster.network.partition(one.host, other.host);
  await cluster.until(() => rest.every(({ id }) => one.membership.standing(id) === 'dead'));
  const accused: NodeId[] = [];
  const down: NodeId[] = [];
  for (const { peers, membership } of rest) {
    membership.onChange((peer) => peer !== one.id && membership.standing(peer) === 'dead' && accused.push(peer));
    peers.onChange((peer, now) => peer !== one.id && now === 'down' && down.push(peer));
  }
  for (const other of rest) cluster.network.heal(one.host, other.host);
  await cluster.until(() => cluster.allUsable());
  await cluster.pass(3000);
  expect(accused).not.toEqual([]);
  expect(down).toEqual([]);
});

test.each([1, 2, 3])(
  'nobody is taken for dead while one message in ten is lost and one member is slow (seed %i)',
  async (seed) => {
    const cluster = await VirtualMembers.started(6, `loss ${seed}`);
    const slow = cluster.members[3]!;
    for (const a of cluster.members) {
      for (const b of cluster.others(a)) {
        const delay = a === slow || b === slow ? 60 : 0;
        cluster.network.setFault(a.host, b.host, { drop: 0.1, delay });
      }
    }
    await cluster.pass(120_000);
    expect(cluster.verdicts('dead')).toBe(0);
    cluster.network.clearFaults();
    await cluster.pass(3000);
    expect(cluster.allUsable()).toBe(true);
  },
);

test('a member that only one cannot reach is doubted by that one alone', async () => {
  const cluster = await VirtualMembers.started(4, 'asymmetric');
  const [a, b, c, d] = cluster.members;
  cluster.network.partition(a!.host, b!.host, true);
  await cluster.pass(20_000);
  expect(a!.peers.usable(b!.id)).toBe(false);
  for (const other of [c!, d!]) expect(other.peers.usable(b!.id)).toBe(true);
  expect(cluster.verdicts('dead')).toBe(0);
  cluster.network.heal(a!.host, b!.host);
  expect(await cluster.until(() => cluster.allUsable())).toBeLessThan(10_000);
});

test('what has waited for a frozen member beyond its deadline is not done when it goes on', async () => {
  const cluster = await VirtualMembers.started(2, 'late');
  const [asker, frozen] = cluster.members;
  const refused = (): number => frozen!.world.metrics.value('quoral_peer_requests_refused_total', { code: 'deadline' });
  const ask = (timeout: number): void => {
    const deadline = asker!.world.clock.monotonic() + timeout;
    void asker!.messaging.call(frozen!.id, ProbeMessage, { epoch: 1, news: [] }, { deadline });
  };
  frozen!.host.pause();
  for (const timeout of [500, 500, 60_000]) ask(timeout);
  await cluster.pass(2000);
  frozen!.host.resume();
  await cluster.pass(100);
  // The two, and probes of the failure detector; the third had time left.
  expect(refused()).toBeGreaterThanOrEqual(2);
  const before = refused();
  ask(500);
  await cluster.pass(100);
  expect(refused()).toBe(before);
});

test('requests to a frozen member make it doubted within half a second', async () => {
  const cluster = await VirtualMembers.started(12, 'owed');
  const [asker, frozen] = cluster.members;
  frozen!.host.pause();
  const deadline = asker!.world.clock.monotonic() + 5000;
  void asker!.messaging.call(frozen!.id, ProbeMessage, { epoch: 1, news: [] }, { deadline });
  expect(await cluster.until(() => !asker!.peers.usable(frozen!.id))).toBeLessThan(500);
});

test('fifty members agree on a death and on a return within 3 s', async () => {
  const cluster = await VirtualMembers.started(50, 'fifty', 5000);
  expect(cluster.allUsable()).toBe(true);
  expect(cluster.verdicts('dead')).toBe(0);
  const frozen = cluster.members[17]!;
  const others = cluster.others(frozen);
  frozen.host.pause();
  const doubted = await cluster.until(() => others.every(({ peers }) => !peers.usable(frozen.id)));
  expect(doubted).toBeLessThan(3000);
  await cluster.until(() => others.some(({ membership }) => membership.standing(frozen.id) === 'dead'));
  const known = await cluster.until(() => others.every(({ membership }) => membership.standing(frozen.id) === 'dead'));
  expect(known).toBeLessThan(3000);
  frozen.host.resume();
  expect(await cluster.until(() => cluster.allUsable())).toBeLessThan(3000);
  expect(cluster.verdicts('dead')).toBeLessThanOrEqual(others.length);
}, 60_000);

test.each([3, 5])(
  '%i members that are far from each other do not fall out, and one that freezes is found dead',
  async (count) => {
    const far = { minimum: 200, mean: 20 };
    const cluster = await VirtualMembers.started(count, `far ${count}`, 5000, far);
    const before = cluster.verdicts('suspect');
    await cluster.pass(60_000);
    expect(cluster.verdicts('suspect')).toBe(before);
    expect(cluster.allUsable()).toBe(true);
    const frozen = cluster.members[1]!;
    frozen.host.pause();
    const others = cluster.others(frozen);
    const dead = await cluster.until(() => others.every(({ membership }) => membership.standing(frozen.id) === 'dead'));
    expect(dead).toBeLessThan(20_000);
    frozen.host.resume();
    expect(await cluster.until(() => cluster.allUsable())).toBeLessThan(10_000);
  },
);
