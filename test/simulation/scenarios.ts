/**
 * Scripted schedules, for what a random run finds too rarely. Each repeats one dangerous sequence on fresh keys, with the
 * nodes in changing roles and in buckets of both kinds. A crash loses all that was not synced.
 */

import { Arena, type Finding } from './arena.ts';
import { StoreMessage } from '#replica/messages.ts';
import { isAnswer, requestName } from './messages-on-the-wire.ts';
import { DEFAULT_COORDINATOR_SETTINGS } from '#coordinator/environment.ts';
import { DEFAULT_MEMBERSHIP_SETTINGS } from '#membership/settings.ts';
import { DEFAULT_HINT_SETTINGS } from '#handoff/hints.ts';
import type { NodeOptions } from '#node.ts';
import { DEFAULT_REPAIR_SETTINGS } from '#repair/repair.ts';
import type { Machine } from './cluster.ts';
import { WATCH_SCRIPTS, WATCHED_RING_SCRIPTS } from './watch-scripts.ts';
import { RING_AGAIN_SCRIPTS, RING_AGAIN_STRONG_SCRIPTS } from './ring-again-scripts.ts';
import { RING_LOST_SCRIPTS, RING_LOST_STRONG_SCRIPTS } from './ring-lost-scripts.ts';
import { RING_SCRIPTS } from './ring-scripts.ts';
import { RingStage } from './ring-stage.ts';
import { COME_AND_GO_MS, STRONG_SCRIPTS } from './strong-scripts.ts';
import { TYPE_SCRIPTS } from './type-scripts.ts';
import { VECTOR_SCRIPTS } from './vector-scripts.ts';
import { ownersOfKey } from './white-box.ts';
import { levelsFor, sloppyAll, sloppyWithOwners, strictAll, strictQuorum, type Level } from './levels.ts';
import type { Timeline } from './timeline.ts';
import type { Tampering } from './tampering.ts';
import type { Client, Clients, ComposedWrite, Target } from './workload.ts';

type Script = (stage: Stage, ring: RingStage) => Promise<void>;

export const NODES = 3;
const ROUNDS = 6;
const STRONG_ROUNDS = 36;
const TIMEOUT_MS = 2000;
const MARK_MS = 700;
/** After so long a node knows that it is cut off. */
const UNREACHABLE_MS = 4500;
const FACTS = { owners: NODES, mode: 'lww' } as const;
const STRICT = strictQuorum(FACTS);
const ALL = strictAll(FACTS);
const SLOPPY = levelsFor(FACTS).find(({ query }) => query === '')!;
const WITH_OWNERS = sloppyWithOwners(FACTS);
const ALL_SLOPPY = sloppyAll(FACTS);
const STRONG = strictQuorum({ owners: NODES, mode: 'strong' });
const ONE_OWNER = levelsFor(FACTS).find(({ query }) => query === 'r=all&w=1&dw=1&sloppy=false')!;
const ONE = levelsFor(FACTS).find(({ query }) => query === 'consistency=one')!;

/** Requests by which a replica gets what it lacks; not the question for the time, without which a lost disk serves nobody. */
const CARRY_STATES = /^(replica\.store|handoff\.|repair\.(?!time))/;

const SCRIPTS = {
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
  /** A write that only one node has is acknowledged; then that node loses its power. */
  'power-loss-after-ack': async (stage) => {
    await stage.rounds(async (key, [alone, ...others]) => {
      stage.cut(alone, others);
      await stage.pass(UNREACHABLE_MS);
      alone.medium.extraSyncMilliseconds = 1000;
      await stage.during(stage.putting(alone, key, ONE), 20, () => stage.crash(alone));
    });
  },
  /** The same when the sync fails, and the process ends only later. */
  'sync-fails-before-ack': async (stage) => {
    await stage.rounds(async (key, [alone, ...others]) => {
      stage.cut(alone, others);
      await stage.pass(UNREACHABLE_MS);
      alone.medium.failNextSync();
      await stage.put(alone, key, ONE);
      stage.crash(alone);
    });
  },
  /** Of two nodes that have made a write durable one loses its power; the other one cannot be asked. */
  'power-loss-at-a-replica': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      stage.cut(third, [first, second]);
      await stage.pass(UNREACHABLE_MS);
      second.medium.extraSyncMilliseconds = 1000;
      await stage.during(stage.putting(first, key, STRICT), 50, () => stage.crash(second));
      // Who still has it must not bring it home first.
      stage.clear();
      stage.cut(first, [second, third]);
      await stage.pass(2 * UNREACHABLE_MS);
      await stage.get(second, key, STRICT);
    });
  },
  /** A coordinator has sent a state and loses its power before the sync; it comes back and writes the same key. */
  'coordinator-forgets-what-it-sent': async (stage) => {
    await stage.rounds(async (key, [first]) => {
      first.medium.extraSyncMilliseconds = 500;
      await stage.put(first, key, STRICT);
      stage.crash(first);
      await stage.heal();
      await stage.put(first, key, STRICT);
    });
  },
  /** A coordinator whose commit fails when the state has left it goes on to write the same key. */
  'commit-fails-after-sending': async (stage) => {
    await stage.rounds(async (key, [first, ...others]) => {
      first.medium.capacityBytes = first.medium.bytes;
      await stage.put(first, key, STRICT);
      first.medium.capacityBytes = Number.POSITIVE_INFINITY;
      // Whoever has a full disk lets others write; alone it has to do so itself.
      stage.cut(first, others);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(first, key, ONE);
    });
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
  /** Nodes that stop cleanly and nodes that do not, one after the other, with writes to the same keys in between. */
  'restarts-of-all-kinds': async (stage) => {
    await stage.rounds(async (key, machines) => {
      for (const [i, machine] of machines.entries()) {
        await stage.put(machine, key, STRICT);
        if (i === 1) stage.arena.supervisor.stop(machine, 10);
        else stage.crash(machine);
        await stage.heal();
        await stage.put(machine, key, STRICT);
      }
    });
  },
  /** Both nodes that have a write die while they are asked for it. */
  'who-knows-dies': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      const { network } = stage.arena.cluster;
      const loses = (message: Uint8Array): boolean => CARRY_STATES.test(requestName(message));
      for (const { host } of [first, second]) network.setFault(host, third.host, { loses });
      await stage.put(first, key, STRICT);
      for (const { host } of [first, second]) network.setFault(third.host, host, { delay: 1000 });
      await stage.during(stage.getting(third, key, STRICT), 100, () => {
        stage.crash(first);
        stage.crash(second);
      });
    });
  },
  /** A sync takes longer than the client wants to wait. */
  'disk-hangs': async (stage) => {
    await stage.rounds(async (key, [first]) => {
      first.medium.extraSyncMilliseconds = 4 * TIMEOUT_MS;
      await stage.put(first, key, ALL);
      await stage.pass(4 * TIMEOUT_MS);
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
  /** The network repeats every message a little later; meanwhile somebody has replaced what the first one wrote. */
  'requests-come-twice': async (stage) => {
    await stage.rounds(async (key, [full, ...others]) => {
      // Whoever has a full disk forwards what it is asked to write.
      full.medium.capacityBytes = 1;
      await stage.put(full, { ...key, key: `${key.key}-fills` }, ONE);
      const { network } = stage.arena.cluster;
      for (const { host } of others) network.setFault(full.host, host, { duplicate: 1 });
      await stage.put(full, key, STRICT);
      network.clearFaults();
      await stage.replace(others[0], key, STRICT);
      await stage.pass(2000);
      await stage.get(others[1], key, STRICT);
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
  /** A request is sent again where nobody can be asked who knows that it was carried out, and something has come after it. */
  'retried-where-nobody-knows': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      stage.cut(third, [first, second]);
      await stage.pass(UNREACHABLE_MS);
      const write = stage.keyed(key, ONE_OWNER);
      await stage.send(write, first);
      await stage.replace(second, key, STRICT);
      await stage.send(write, third);
      await stage.heal();
      await stage.send(write, third);
      await stage.get(third, key, STRICT);
    });
  },
  /** Two attempts at one request are minted by nodes that could not know of each other, and meet. */
  'attempts-meet': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      const { network } = stage.arena.cluster;
      const loses = (message: Uint8Array): boolean => requestName(message) === StoreMessage.name;
      for (const { host } of [second, third]) network.setFault(first.host, host, { loses });
      const write = stage.keyed(key, STRICT);
      await stage.send(write, first);
      stage.cut(first, [second, third]);
      await stage.pass(UNREACHABLE_MS);
      await stage.send(write, second);
      await stage.heal();
      await stage.get(third, key, ALL);
      await stage.send(write, third);
      await stage.get(first, key, ALL);
    });
  },
  /** A request that creates is sent again: what it finds is what it has made. */
  'created-once': async (stage) => {
    await stage.rounds(async (key, machines) => {
      const write = stage.keyed(key, STRICT, 'absent');
      for (const machine of machines) await stage.send(write, machine);
    });
  },
  /** Sessions that write and read at a node that is cut off, and then read at others. */
  'session-goes-elsewhere': async (stage) => {
    await stage.rounds(async (key, [first, ...others]) => {
      await stage.put(first, key, ALL);
      stage.cut(first, others);
      const [writer, reader] = [stage.inSession(), stage.inSession()];
      await stage.write(writer, first, key, ONE);
      await stage.read(writer, others[0], key, ONE);
      await stage.read(reader, first, key, ONE);
      await stage.read(reader, others[1], key, ONE);
      await stage.heal();
      for (const client of [writer, reader]) await stage.read(client, others[0], key, ONE);
    });
  },
  /** A session writes at a node whose clock is ahead, and then, without having read, at one whose clock is not. */
  'session-with-slow-clocks': async (stage) => {
    await stage.rounds(async (key, [first, ...others]) => {
      first.host.clock.jump(400);
      stage.cut(first, others);
      const client = stage.inSession();
      await stage.write(client, first, key, ONE);
      await stage.write(client, others[0], key, STRICT);
      first.host.clock.jump(-400);
      await stage.heal();
      await stage.read(client, others[1], key, ALL);
    });
  },
  /** A bucket is dropped while a node is down that has its keys, lacks some of them, and comes back into the next life. */
  /** A disk is put back to an earlier state; the only other node within reach never had the write. */
  'disk-is-put-back': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      stage.arena.supervisor.crash(first, 50);
      const backup = first.medium.snapshot();
      await stage.heal();
      stage.cut(third, [first, second]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(first, key, STRICT);
      stage.cut(second, [first, third]);
      stage.arena.supervisor.crash(first, 50);
      const newest = first.medium.snapshot();
      first.medium.restore(backup);
      stage.arena.watch.diskLost(first);
      stage.reconnect(first, third);
      await stage.pass(3000);
      await stage.get(third, key, STRICT);
      await stage.get(first, key, STRICT);
      stage.arena.supervisor.crash(first, 50);
      first.medium.restore(newest);
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
  /** A disk is put back to a state from after its last start, when the others have had a mark since. */
  'running-disk-is-put-back': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      const backup = first.medium.snapshot();
      stage.loses(CARRY_STATES, third);
      await stage.put(first, key, STRICT);
      await stage.pass(2 * MARK_MS);
      stage.clear();
      stage.cut(second, [first, third]);
      stage.arena.supervisor.crash(first, 50);
      first.medium.restore(backup);
      stage.arena.watch.diskLost(first);
      await stage.pass(3000);
      await stage.get(third, key, STRICT);
      await stage.get(first, key, STRICT);
      // What is found out is emptied, and filled by the others.
      stage.crash(first);
      first.medium.wipe();
      await stage.heal();
      await stage.arena.refilled();
    });
  },
  /** A node loses its power while it writes a mark, and is the same as before. */
  'power-loss-while-marking': async (stage) => {
    await stage.rounds(async (_key, [first]) => {
      first.medium.extraSyncMilliseconds = 500;
      await stage.pass(2 * MARK_MS);
      stage.crash(first);
      await stage.pass(3000);
      stage.isTrusted(first);
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
  /**
   * A fallback that no owner hears writes, hands over what it keeps, and writes again. It has forgotten the first write and
   * must not claim to have seen it.
   */
  'fallback-writes-twice': async (stage) => {
    await stage.hintRounds(async (key, owners, [fallback]) => {
      for (let i = 0; i < 2; i++) {
        stage.cut(fallback!, owners);
        await stage.pass(UNREACHABLE_MS);
        await stage.put(fallback!, key, ONE);
        await stage.put(owners[0], key, STRICT);
        await stage.heal();
      }
    });
  },
  /** A hint gets more while what it held is on its way to the owner; the last of it at another moment of that way in each round. */
  'hint-grows-while-delivered': async (stage) => {
    let writes = 7;
    await stage.hintRounds(async (key, [first, second, third], [fallback]) => {
      writes += 1;
      stage.cut(third, [first, second]);
      await stage.pass(UNREACHABLE_MS);
      stage.arena.cluster.network.setFault(fallback!.host, third.host, { delay: 400 });
      for (let i = 0; i < writes; i++) {
        await stage.put(first, key, SLOPPY);
        await stage.pass(130);
      }
      await stage.pass(2000);
    });
  },
  /** An owner and a fallback on one side, the other owners on the other. */
  'owners-are-asked-for': async (stage) => {
    await stage.hintRounds(async (key, [first, second, third], others) => {
      for (const side of [first, ...others]) stage.cut(side, [second, third]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(first, key, WITH_OWNERS);
      await stage.get(second, key, STRICT);
    });
  },
  /** The same, and the one owner has missed a write: together with a fallback that keeps nothing it knows nothing. */
  'a-fallback-knows-nothing': async (stage) => {
    await stage.hintRounds(async (key, [first, second, third], others) => {
      for (const side of [first, ...others]) stage.cut(side, [second, third]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(second, key, STRICT);
      await stage.mustNotAnswer(others[0]!, key, SLOPPY);
    });
  },
  /** A node that owns nothing of the key forwards a write, and all answers to it are lost. */
  'answer-to-a-forward-is-lost': async (stage) => {
    await stage.hintRounds(async (key, owners, [asked]) => {
      for (const { host } of owners) stage.arena.cluster.network.setFault(host, asked!.host, { loses: isAnswer });
      await stage.put(asked!, key, STRICT);
      stage.clear();
      await stage.get(owners[0], key, STRICT);
    });
  },
  /** One fallback keeps a write for all owners, one after the other of whom comes back. */
  'kept-for-several-owners': async (stage) => {
    await stage.hintRounds(async (key, owners, [fallback]) => {
      stage.cut(fallback!, owners);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(fallback!, key, ONE);
      for (const owner of owners) {
        stage.reconnect(fallback!, owner);
        await stage.pass(UNREACHABLE_MS);
      }
    });
  },
  /** A key is deleted while one owner is cut off and has it still; the others have time to forget that it ever was. */
  'deleted-while-one-is-away': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      await stage.put(first, key, ALL);
      stage.cut(third, [first, second]);
      await stage.pass(UNREACHABLE_MS);
      await stage.remove(first, key, STRICT);
      await stage.pass(8000);
      await stage.heal();
      await stage.pass(4000);
      await stage.get(second, key, STRICT);
      await stage.get(third, key, STRICT);
    });
  },
  /** A fallback has missed what came after its hint; the owners that are read together with it have everything. */
  'a-fallback-is-behind': async (stage) => {
    await stage.hintRounds(async (key, [first, second, third], [fallback]) => {
      stage.cut(third, [first, second, fallback!]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(first, key, SLOPPY);
      stage.cut(fallback!, [first, second]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(second, key, STRICT);
      stage.reconnect(fallback!, first);
      stage.reconnect(fallback!, second);
      await stage.pass(UNREACHABLE_MS);
      const before = stage.mendedBy(first);
      await stage.get(first, key, ALL_SLOPPY);
      await stage.pass(500);
      stage.mendsNobody(first, before);
    });
  },
  /** A key is deleted at all its owners while a fallback keeps an older write of it for one whom it cannot reach. */
  'hint-is-older-than-a-deletion': async (stage) => {
    await stage.hintRounds(async (key, [first, second, third], others) => {
      stage.cut(third, [first, second, ...others]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(first, key, SLOPPY);
      stage.clear();
      stage.cut(third, others);
      await stage.pass(4000);
      await stage.removeSeen(second, key, ALL);
      await stage.pass(8000);
      await stage.heal();
      await stage.pass(4000);
      await stage.get(third, key, ALL);
    });
  },
  /** Of the two owners that have a write one loses its disk, and the other cannot be asked: whoever is left knows nothing. */
  'an-owner-loses-its-disk': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      stage.cut(third, [first, second]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(first, key, STRICT);
      stage.clear();
      stage.loses(CARRY_STATES);
      stage.crash(second);
      second.medium.wipe();
      stage.arena.watch.diskLost(second);
      await stage.pass(UNREACHABLE_MS);
      stage.loses(/^(replica\.|handoff\.|repair\.(?!time))/, first);
      await stage.get(third, key, STRICT);
      await stage.get(second, key, STRICT);
      // One disk at a time.
      await stage.heal();
      await stage.arena.refilled();
    });
  },
  /** Proposers that get in each other's way while what they say to the owners is late or lost. */
  'strong-keys-in-doubt': async (stage) => {
    const { network, simulation } = stage.arena.cluster;
    const random = simulation.random.fork('doubt');
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
  'coordinator-lacks-the-value': async (stage) => {
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
  },
  ...STRONG_SCRIPTS,
  ...RING_SCRIPTS,
  ...RING_AGAIN_SCRIPTS,
  ...RING_LOST_SCRIPTS,
  ...WATCHED_RING_SCRIPTS,
  ...WATCH_SCRIPTS,
  ...TYPE_SCRIPTS,
  ...VECTOR_SCRIPTS,
} satisfies Readonly<Record<string, Script>>;

/**
 * Played by more nodes than a key has owners, none of which crashes, and without anti-entropy, whose calls have no time: only
 * hints bring home what was missed.
 */
const WITH_FALLBACKS: ReadonlySet<string> = new Set([
  'fallback-writes-twice',
  'hint-grows-while-delivered',
  'owners-are-asked-for',
  'a-fallback-knows-nothing',
  'a-fallback-is-behind',
  'kept-for-several-owners',
  'answer-to-a-forward-is-lost',
]);
const HINTS_ONLY = {
  repair: { ...DEFAULT_REPAIR_SETTINGS, callTimeout: 0 },
  hints: { ...DEFAULT_HINT_SETTINGS, interval: 300 },
};

/** With tombstones that are given up within seconds; clocks are right. */
const RECLAIMING: ReadonlySet<string> = new Set([
  'deleted-while-one-is-away',
  'a-former-owner-has-what-was-deleted',
  'a-long-vector-lacks-a-write',
  'a-late-clock-after-a-horizon',
  ...Object.keys(STRONG_SCRIPTS),
]);
const RECLAIMING_WITH_FALLBACKS: ReadonlySet<string> = new Set([
  'hint-is-older-than-a-deletion',
  'a-hint-beside-a-long-vector',
]);
const SOON = {
  repair: {
    ...DEFAULT_REPAIR_SETTINGS,
    interval: 1000,
    settle: 200,
    reclaimInterval: 1000,
    reclaimAge: 500,
    reclaimWait: 1000,
  },
};

/** With marks that come often. */
const MARKING: ReadonlySet<string> = new Set(['running-disk-is-put-back', 'power-loss-while-marking']);
const MARKS = { membership: { ...DEFAULT_MEMBERSHIP_SETTINGS, markInterval: MARK_MS } };

/** Owners that are not asked for all of a key say only what they know, however small its values are. */
const OUTLINING: ReadonlySet<string> = new Set(['coordinator-lacks-the-value']);
const OUTLINES = { coordinator: { ...DEFAULT_COORDINATOR_SETTINGS, valuesUpTo: 0 } };

/** Five nodes and one that comes, whose partitions move. */
const RING_CHANGES: ReadonlySet<string> = new Set(
  [RING_SCRIPTS, RING_AGAIN_SCRIPTS, RING_LOST_SCRIPTS, WATCHED_RING_SCRIPTS].flatMap((scripts) =>
    Object.keys(scripts),
  ),
);
const RING_NODES = 5;
const MOVING_STRONG_KEYS: ReadonlySet<string> = new Set([
  'strong-keys-of-two-leavers',
  ...Object.keys(RING_AGAIN_STRONG_SCRIPTS),
  ...Object.keys(RING_LOST_STRONG_SCRIPTS),
]);
const SHRINKING: ReadonlySet<string> = new Set(['all-that-have-it-leave']);

export type ScenarioName = keyof typeof SCRIPTS;
/** Scenarios that the product of today does not pass, with what it would take. */
export const WAITING_FOR_A_FIX: Readonly<Partial<Record<ScenarioName, string>>> = {};

export const SCENARIO_NAMES = Object.keys(SCRIPTS) as readonly ScenarioName[];

export interface ScenarioOptions {
  /** Ends as soon as anything is found. */
  readonly hasty?: boolean;
  readonly tampering?: Tampering;
  readonly timeline?: Timeline;
}

/** What the checkers find when the scenario is played. */
export async function play(name: ScenarioName, options: ScenarioOptions): Promise<readonly Finding[]> {
  const setting = RING_CHANGES.has(name)
    ? {
        nodes: SHRINKING.has(name) ? NODES : RING_NODES,
        ...{ ringChanges: true, strong: MOVING_STRONG_KEYS.has(name), losesUnsynced: false },
        ...nodeFor(name),
      }
    : WITH_FALLBACKS.has(name)
      ? { nodes: NODES + 1, node: HINTS_ONLY, losesUnsynced: false }
      : RECLAIMING_WITH_FALLBACKS.has(name)
        ? { nodes: NODES + 1, node: SOON, losesUnsynced: false }
        : { nodes: NODES, losesUnsynced: true, ...nodeFor(name) };
  const types = Object.hasOwn(TYPE_SCRIPTS, name);
  const arena = new Arena({ ...options, ...setting, types, seed: name });
  const clients = arena.directedClients();
  for (const { medium } of arena.cluster.machines) medium.losesAllUnsynced = true;
  await arena.run(async () => {
    const stage = new Stage(arena, clients);
    await SCRIPTS[name](stage, new RingStage(arena, stage));
    await arena.converge(clients);
  });
  return arena.findings;
}

function nodeFor(name: ScenarioName): { readonly node?: Partial<NodeOptions> } {
  if (name === 'strong-keys-come-and-go') return { node: { ...SOON, upkeep: { forgottenAfter: COME_AND_GO_MS } } };
  if (RECLAIMING.has(name)) return { node: SOON };
  if (MARKING.has(name)) return { node: MARKS };
  return OUTLINING.has(name) ? { node: OUTLINES } : {};
}

interface Sendable {
  readonly client: Client;
  readonly write: ComposedWrite;
}

/** What a script can do. */
export class Stage {
  readonly arena: Arena;
  readonly #clients: Clients;
  #people = 0;

  constructor(arena: Arena, clients: Clients) {
    this.arena = arena;
    this.#clients = clients;
  }

  /** Plays a sequence on a key of each kind of bucket, again and again; all is well before and after each time. */
  async rounds(
    sequence: (target: Target, machines: readonly [Machine, Machine, Machine]) => Promise<void>,
  ): Promise<void> {
    const [a, b, c] = this.arena.cluster.machines;
    for (let round = 0; round < ROUNDS; round++) {
      const bucket = this.#clients.bucket(round % 2 === 0 ? 'siblings' : 'latest');
      const order = [a!, b!, c!].map((_, i, all) => all[(i + round) % NODES]!) as [Machine, Machine, Machine];
      await sequence({ bucket, key: `round${round}` }, order);
      await this.heal();
    }
  }

  strongKey(key: string): Target {
    return { bucket: this.#clients.bucket('strong'), key };
  }

  /** The same with the owners of the key first and the nodes that may stand in for them. */
  async hintRounds(
    sequence: (
      target: Target,
      owners: readonly [Machine, Machine, Machine],
      others: readonly Machine[],
    ) => Promise<void>,
  ): Promise<void> {
    const { cluster } = this.arena;
    for (let round = 0; round < ROUNDS; round++) {
      const bucket = this.#clients.bucket(round % 2 === 0 ? 'siblings' : 'latest');
      const key = `round${round}`;
      const owners = ownersOfKey(cluster, bucket.name, key) as readonly [Machine, Machine, Machine];
      const others = cluster.machines.filter((machine) => !owners.includes(machine));
      await sequence({ bucket, key }, owners, others);
      await this.heal();
    }
  }

  /** A read that may only fail: too few of those who could know are there. */
  async mustNotAnswer(machine: Machine, target: Target, level: Level): Promise<void> {
    const heard = this.#somebody().read(target, machine, level, TIMEOUT_MS);
    await this.#settle(heard);
    const { shown, answer } = await heard;
    if (shown === null) return;
    const detail = `a read at ${machine.id} that too few can answer is answered ${answer} [${shown.join()}]`;
    this.arena.find({ check: 'strict-reads', key: `${target.bucket.name}/${target.key}`, detail });
  }

  /** A read that must not fail: all is well. */
  async mustAnswer(machine: Machine, target: Target, level: Level): Promise<void> {
    const heard = this.#somebody().read(target, machine, level, TIMEOUT_MS);
    await this.#settle(heard);
    const { shown, answer } = await heard;
    if (shown !== null) return;
    const detail = `a read at ${machine.id}, when all is well, is answered ${answer}`;
    this.arena.find({ check: 'progress', key: `${target.bucket.name}/${target.key}`, detail });
  }

  bucketOf(kind: 'siblings' | 'latest'): Target['bucket'] {
    return this.#clients.bucket(kind);
  }

  machines(): readonly [Machine, Machine, Machine] {
    const [a, b, c] = this.arena.cluster.machines;
    return [a!, b!, c!];
  }

  /** Lists the bucket in small pages, in which there have to be so many keys, each once. */
  async listsAll(machine: Machine, bucket: string, count: number): Promise<void> {
    const keys: string[] = [];
    for (let after: string | null = ''; after !== null;) {
      const target: string = `/v1/kv/${bucket}?prefix=k&limit=2${after === '' ? '' : `&after=${after}`}`;
      const { body } = await this.arena.cluster.request(machine.id, 'GET', target);
      const page = JSON.parse(new TextDecoder().decode(body)) as { keys?: string[]; next?: string | null };
      keys.push(...(page.keys ?? []));
      after = page.next ?? null;
    }
    if (keys.length === count && new Set(keys).size === count) return;
    const detail = `pages of a listing at ${machine.id} have ${keys.join()}, and ${count} keys were written`;
    this.arena.find({ check: 'listings', key: bucket, detail });
  }

  /** Asks for a listing of the key's bucket, which has to show it. */
  async lists(machine: Machine, { bucket, key }: Target): Promise<void> {
    const target = `/v1/kv/${bucket.name}?prefix=${key}`;
    const { status, body } = await this.arena.cluster.request(machine.id, 'GET', target);
    const text = new TextDecoder().decode(body);
    if (status === 200 && (JSON.parse(text) as { keys: string[] }).keys.includes(key)) return;
    const detail = `a listing at ${machine.id} has no ${key}: ${status} ${text.trim()}`;
    this.arena.find({ check: 'listings', key: `${bucket.name}/${key}`, detail });
  }

  /** A blind write by somebody new. */
  async put(machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#settle(this.putting(machine, target, level));
  }

  /** The same, under way. */
  async putting(machine: Machine, target: Target, level: Level, timeout = TIMEOUT_MS): Promise<void> {
    await this.#somebody().write(target, machine, { kind: 'put', level, timeout });
  }

  /** Somebody new all of whose requests belong to one session. */
  inSession(): Client {
    const client = this.#somebody();
    client.beginSession();
    return client;
  }

  async write(client: Client, machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#settle(client.write(target, machine, { kind: 'put', level, timeout: TIMEOUT_MS }));
  }

  async read(client: Client, machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#settle(client.read(target, machine, level, TIMEOUT_MS));
  }

  /** A blind write by somebody new that can be sent several times. */
  keyed(target: Target, level: Level, condition?: 'absent'): Sendable {
    const client = this.#somebody();
    const what = { kind: 'put', level, timeout: TIMEOUT_MS, keyed: true } as const;
    return { client, write: client.compose(target, condition === undefined ? what : { ...what, condition }) };
  }

  async send({ client, write }: Sendable, machine: Machine): Promise<void> {
    await this.#settle(client.attempt(write, machine, TIMEOUT_MS));
  }

  /** A delete by somebody who knows nothing. */
  async remove(machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#settle(this.#somebody().write(target, machine, { kind: 'delete', level, timeout: TIMEOUT_MS }));
  }

  /** The same, under way. */
  async removing(machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#somebody().write(target, machine, { kind: 'delete', level, timeout: TIMEOUT_MS });
  }

  /** A delete by somebody who has read what he deletes. */
  async removeSeen(machine: Machine, target: Target, level: Level): Promise<void> {
    const client = this.#somebody();
    await this.#settle(client.read(target, machine, level, TIMEOUT_MS));
    const knowledge = client.knowledgeOf(target);
    await this.#settle(client.write(target, machine, { kind: 'delete', level, timeout: TIMEOUT_MS, knowledge }));
  }

  async get(machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#settle(this.getting(machine, target, level));
  }

  async getting(machine: Machine, target: Target, level: Level): Promise<void> {
    await this.#somebody().read(target, machine, level, TIMEOUT_MS);
  }

  /** Somebody reads, and writes with what he was shown. */
  async replace(machine: Machine, target: Target, level: Level): Promise<void> {
    const client = this.#somebody();
    await this.#settle(client.read(target, machine, level, TIMEOUT_MS));
    await this.#settle(
      client.write(target, machine, { kind: 'put', level, timeout: TIMEOUT_MS, knowledge: client.knowledgeOf(target) }),
    );
  }

  /** Somebody reads at one node and replaces at the other what he was shown, if it is still so. */
  async swapping(reading: Machine, writing: Machine, target: Target, level: Level): Promise<void> {
    const client = this.#somebody();
    const { shown, etag } = await client.read(target, reading, level, TIMEOUT_MS);
    if (shown === null) return;
    const condition = shown.length === 0 || etag === null ? 'absent' : { write: shown[0]!, etag };
    await client.write(target, writing, { kind: 'put', level, timeout: TIMEOUT_MS, condition });
  }

  /** Lets something happen so many milliseconds after the other has begun, then waits for that. */
  async during(doing: Promise<unknown>, after: number, happens: () => void): Promise<void> {
    await this.pass(after);
    happens();
    await this.#settle(doing);
  }

  /** A touch, which has to find something. */
  async touch({ id }: Machine, { bucket, key }: Target, { query }: Level): Promise<void> {
    const target = `/v1/kv/${bucket.name}/${key}?ttl=3600&${query}`;
    const headers = { 'content-type': 'application/json' };
    const { status } = await this.arena.cluster.request(id, 'POST', target, { headers, body: '{"op":"touch"}' });
    if (status === 204) return;
    this.arena.find({ check: 'progress', key, detail: `a touch at ${id} is answered ${status}` });
  }

  /** A request that the history does not know of; without a status that it must have it must succeed. */
  async aside(machine: Machine, method: 'GET' | 'PUT' | 'DELETE', target: string, expected = 204): Promise<void> {
    const { status } = await this.arena.cluster.request(machine.id, method, target, { body: target });
    if (status === expected) return;
    const detail = `${method} ${target} at ${machine.id} answered ${status} instead of ${expected}`;
    this.arena.find({ check: 'dropped-bucket', key: target, detail });
  }

  /** The machine has no row of that life of the bucket any more. */
  nothingOf({ id, running }: Machine, bucket: string, incarnation: number): void {
    if (running?.node.replica.holdsKeys(bucket, incarnation) !== true) return;
    const detail = `${id} still has rows of life ${incarnation}`;
    this.arena.find({ check: 'dropped-bucket', key: bucket, detail });
  }

  /** Until the machine has just asked another whether it is there, if it still asks anybody. */
  async whileItProbes({ running }: Machine): Promise<void> {
    const probes = (): number => running!.world.metrics.value('quoral_member_probes_total');
    const { simulation } = this.arena.cluster;
    const [before, patience] = [probes(), simulation.now + 2000];
    await simulation.run(() => probes() > before || simulation.now > patience);
  }

  /** How often the machine has found that another does not answer. */
  suspicionsOf({ running }: Machine): number {
    const { metrics } = running!.world;
    const suspects = metrics.value('quoral_member_verdicts_total', { standing: 'suspect' });
    return suspects + metrics.value('quoral_member_silences_total');
  }

  /** The machine has had no more suspicions than these, for all is well with the others. */
  accusesNobody(machine: Machine, before: number): void {
    const more = this.suspicionsOf(machine) - before;
    if (more <= 0) return;
    const detail = `${machine.id}, which was held up itself, has ${more} more suspicions`;
    this.arena.find({ check: 'accusation', key: machine.id, detail });
  }

  /** Nobody has anything against the machine's disk, which is its own. */
  isTrusted({ id, running }: Machine): void {
    const why = running === undefined ? 'it does not run' : running.node.membership.diskPutBack();
    if (why !== undefined)
      this.arena.find({ check: 'accusation', key: id, detail: `${id} is refused its disk: ${why}` });
  }

  /** How many replicas the machine's reads have found behind, for repair to mend. */
  mendedBy({ running }: Machine): number {
    return running!.world.metrics.value('quoral_stale_replicas_found_total');
  }

  /** It has found no more, for all owners that it has read have everything. */
  mendsNobody(machine: Machine, before: number): void {
    const more = this.mendedBy(machine) - before;
    if (more <= 0) return;
    const detail = `${machine.id} repairs ${more} replicas though all owners that it has read are equal`;
    this.arena.find({ check: 'stray-repair', key: machine.id, detail });
  }

  reconnect(a: Machine, b: Machine): void {
    this.arena.cluster.network.heal(a.host, b.host);
  }

  /** Requests of these names get lost: all of them, or those to one machine. */
  loses(names: RegExp, to?: Machine): void {
    const { machines, network } = this.arena.cluster;
    const loses = (message: Uint8Array): boolean => names.test(requestName(message));
    for (const from of machines) {
      for (const target of to === undefined ? machines : [to]) {
        if (from !== target) network.setFault(from.host, target.host, { loses });
      }
    }
  }

  cut(machine: Machine, others: readonly Machine[]): void {
    for (const other of others) this.arena.cluster.network.partition(machine.host, other.host);
  }

  crash(machine: Machine): void {
    machine.medium.extraSyncMilliseconds = 0;
    this.arena.supervisor.crash(machine, 10);
  }

  /** Nothing is wrong with the network and the disks any more. */
  clear(): void {
    this.arena.cluster.network.clearFaults();
    for (const { medium } of this.arena.cluster.machines) {
      medium.extraSyncMilliseconds = 0;
      medium.capacityBytes = Number.POSITIVE_INFINITY;
    }
  }

  async heal(): Promise<void> {
    this.clear();
    await this.pass(20);
    await this.arena.recovered();
  }

  async pass(milliseconds: number): Promise<void> {
    const { simulation } = this.arena.cluster;
    await simulation.run(simulation.now + milliseconds);
  }

  /** Somebody new who does what the script says. */
  somebody(): Client {
    return this.#somebody();
  }

  #somebody(): Client {
    this.#people += 1;
    return this.arena.client(this.#clients, `p${this.#people}`);
  }

  async #settle(doing: Promise<unknown>): Promise<void> {
    await this.arena.cluster.simulation.settle(doing);
  }
}
