/** Scripts about disks that forget, hang, fail or are put back, and about nodes that end. */

import { requestName } from './messages-on-the-wire.ts';
import { TIMEOUT_MS, type Script } from './stage.ts';
import { ALL, CARRY_STATES, MARK_MS, ONE, STRICT, UNREACHABLE_MS } from './script-settings.ts';

export const DISK_SCRIPTS = {
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
} satisfies Readonly<Record<string, Script>>;
