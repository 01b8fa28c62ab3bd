/** Scripts about replicas that differ: what is read, listed and joined when they do. */

import { requestName } from './messages-on-the-wire.ts';
import { strictQuorum } from './levels.ts';
import type { Target } from './workload.ts';
import { NODES, type Script, type Stage } from './stage.ts';
import { ALL, CARRY_STATES, ONE, STRICT, UNREACHABLE_MS } from './script-settings.ts';

const STRONG_ROUNDS = 36;
const STRONG = strictQuorum({ owners: NODES, mode: 'strong' });

export const REPLICA_SCRIPTS = {
  /** One replica lacks what a quorum has, then what a quorum has deleted; every node is asked for a listing. */
  'listings-beside-a-replica-that-is-behind': async (stage) => {
    await stage.rounds(async (target, [first, second, third]) => {
      stage.loses(CARRY_STATES, third);
      await stage.put(first, target, STRICT);
      for (const machine of [first, second, third]) await stage.lists(machine, target);
    });
  },
  /** Replicas that hold different keys, some of them dead, look differently far; page by page each key has to come once. */
  'listings-page-by-page': async (stage) => {
    const bucket = stage.bucketOf('latest');
    const [first, second, third] = stage.machines();
    const target = (i: number): Target => ({ bucket, key: `k${String(i).padStart(2, '0')}` });
    stage.loses(CARRY_STATES, third);
    for (let i = 0; i < 12; i++) await stage.put(first, target(i), STRICT);
    for (let i = 0; i < 6; i++) await stage.remove(first, target(i), STRICT);
    stage.loses(CARRY_STATES, second);
    for (let i = 12; i < 24; i++) await stage.put(third, target(i), STRICT);
    for (let round = 0; round < 4; round++)
      for (const machine of [first, second, third]) await stage.listsAll(machine, bucket.name, 18);
    await stage.heal();
  },
  /** Replicas that meet again after each has taken writes which the other does not know. */
  'both-sides-write': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      await stage.put(first, key, STRICT);
      stage.cut(first, [second, third]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(first, key, ONE);
      await stage.put(second, key, STRICT);
      await stage.remove(third, key, STRICT);
      await stage.put(third, key, STRICT);
      stage.arena.cluster.network.clearFaults();
      // Time to connect, but not for anti-entropy. Whom a quorum read asks depends on whom its node prefers after all this.
      await stage.pass(1500);
      await stage.get(first, key, ALL);
      await stage.get(second, key, ALL);
      await stage.remove(first, key, STRICT);
      await stage.get(third, key, STRICT);
    });
  },
  /** Clients write to nodes whose clocks are seconds apart, each having seen the last write. */
  'clocks-disagree': async (stage) => {
    const [ahead, , behind] = stage.arena.cluster.machines;
    ahead!.host.clock.jump(4000);
    behind!.host.clock.jump(-4000);
    await stage.rounds(async (key, machines) => {
      for (const machine of machines) await stage.replace(machine, key, STRICT);
    });
  },
  /** A quorum that can only be met by counting somebody who has not got the write. */
  'too-few-have-it': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      for (const machine of [second, third]) machine.medium.capacityBytes = 1;
      await stage.put(first, key, STRICT);
      await stage.heal();
      stage.cut(first, [second, third]);
      await stage.pass(UNREACHABLE_MS);
      await stage.get(second, key, STRICT);
      await stage.put(first, key, STRICT);
      await stage.get(third, key, STRICT);
      await stage.heal();
      await stage.get(third, key, STRICT);
    });
  },
  /** A key is touched where its deletion is not known. */
  'touched-where-it-lives-on': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      await stage.put(first, key, ALL);
      stage.cut(third, [first, second]);
      await stage.pass(UNREACHABLE_MS);
      await stage.removeSeen(first, key, STRICT);
      await stage.touch(third, key, ONE);
      await stage.heal();
      await stage.get(second, key, ALL);
    });
  },
  /** Of three nodes one is cut off and asked all the same. */
  'one-alone-is-asked': async (stage) => {
    await stage.rounds(async (key, [alone, ...others]) => {
      stage.cut(alone, others);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(others[0], key, STRICT);
      await stage.get(alone, key, STRICT);
      await stage.put(alone, key, STRICT);
    });
  },
  /** A node is frozen while others wait for it and it for them, and goes on. */
  'frozen-and-back': async (stage) => {
    const { network, machines } = stage.arena.cluster;
    await stage.rounds(async (key, [frozen, asked]) => {
      for (const a of machines) for (const b of machines) if (a !== b) network.setFault(a.host, b.host, { delay: 15 });
      await stage.put(asked, key, STRICT);
      for (let i = 0; i < 8; i++) {
        const before = stage.suspicionsOf(frozen);
        await stage.whileItProbes(frozen);
        stage.arena.supervisor.pause(frozen);
        await stage.pass(1500);
        stage.arena.supervisor.resume(frozen);
        await stage.pass(1000);
        stage.accusesNobody(frozen, before);
      }
      stage.arena.supervisor.pause(frozen);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(asked, key, STRICT);
      stage.arena.supervisor.resume(frozen);
    });
  },
  /** A bucket is dropped while a node is down that has its keys, lacks some of them, and comes back into the next life. */
  'bucket-is-dropped': async (stage) => {
    await stage.rounds(async ({ key }, [first, second, third]) => {
      const bucket = `dropped-${key}`;
      await stage.aside(first, 'PUT', `/v1/kv/${bucket}/old?consistency=all`);
      stage.crash(third);
      await stage.aside(second, 'PUT', `/v1/kv/${bucket}/unheard-of`);
      await stage.aside(first, 'DELETE', `/v1/buckets/${bucket}`);
      await stage.aside(second, 'PUT', `/v1/kv/${bucket}/new?consistency=quorum`);
      await stage.heal();
      await stage.pass(5000);
      // Whoever starts looks again for what is left of earlier lives.
      for (const machine of [first, second, third]) stage.crash(machine);
      await stage.heal();
      await stage.pass(2000);
      for (const machine of [first, second, third]) {
        for (const old of ['old', 'unheard-of']) await stage.aside(machine, 'GET', `/v1/kv/${bucket}/${old}`, 404);
        await stage.aside(machine, 'GET', `/v1/kv/${bucket}/new`, 200);
      }
      for (const machine of [first, second, third]) stage.nothingOf(machine, bucket, 0);
    });
  },
  /** Proposers that get in each other's way while what they say to the owners is late or lost. */
  'strong-keys-in-doubt': async (stage) => {
    const { network, simulation } = stage.arena.cluster;
    const random = simulation.random.fork('uncertain');
    const lost = (message: Uint8Array): boolean => requestName(message).startsWith('register.') && random.chance(0.15);
    for (let round = 0; round < STRONG_ROUNDS; round++) {
      const key = stage.strongKey(`round${round}`);
      const { machines } = stage.arena.cluster;
      // Two that do not reach each other choose different proposers, and the third is an owner to both.
      const [one, another] = [0, 1, 2].map((i) => machines[(round + i) % NODES]!);
      stage.cut(one!, [another!]);
      await stage.pass(UNREACHABLE_MS);
      for (const from of machines) {
        for (const to of machines) {
          if (from === to || new Set([from, to, one, another]).size === 2) continue;
          network.setFault(from.host, to.host, { delay: [0, 30, 250][random.below(3)]!, loses: lost });
        }
      }
      const doing: Promise<unknown>[] = [];
      for (let i = 0; i < 14; i++) {
        const machine = machines[random.below(machines.length)]!;
        const [chance, other] = [random.below(10), machines[random.below(machines.length)]!];
        if (chance < 3) doing.push(stage.getting(machine, key, STRONG));
        else if (chance < 6) doing.push(stage.putting(machine, key, STRONG));
        else doing.push(stage.swapping(machine, other, key, STRONG));
        await stage.pass(random.below(120));
      }
      await simulation.settle(Promise.all(doing));
      await stage.heal();
      for (const machine of machines) await stage.get(machine, key, STRONG);
    }
  },
  /** A read whose coordinator lacks what another owner names without its value. */
  'coordinator-lacks-the-value': readWhereOneIsBehind,
  /** A read whose coordinator has something else than the owner that it tells what it has. */
  'coordinator-is-behind': readWhereOneIsBehind,
} satisfies Readonly<Record<string, Script>>;

async function readWhereOneIsBehind(stage: Stage): Promise<void> {
  await stage.rounds(async (key, [first, second, third]) => {
    await stage.put(first, key, ALL);
    stage.cut(third, [first, second]);
    await stage.pass(UNREACHABLE_MS);
    await stage.put(first, key, STRICT);
    stage.arena.cluster.network.clearFaults();
    for (const { host } of [first, second]) {
      const loses = (message: Uint8Array): boolean => CARRY_STATES.test(requestName(message));
      stage.arena.cluster.network.setFault(host, third.host, { loses });
    }
    await stage.pass(1500);
    await stage.get(third, key, STRICT);
    await stage.get(third, key, ALL);
    stage.cut(second, [first, third]);
    await stage.get(third, key, STRICT);
  });
}
