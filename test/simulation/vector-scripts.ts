/** Scripts about vectors that are compacted: who may know of a write that those who claim a horizon do not know of. */

import { SPARE_ENTRIES_MAX } from '#repair/long-vectors.ts';
import type { Machine } from './cluster.ts';
import { levelsFor, strictAll, strictQuorum } from './levels.ts';
import type { Stage } from './stage.ts';
import { ownersOfKey } from './white-box.ts';
import type { Target } from './workload.ts';

const FACTS = { owners: 3, mode: 'siblings' } as const;
const STRICT = strictQuorum(FACTS);
const ALL = strictAll(FACTS);
const ONE = levelsFor(FACTS).find(({ query }) => query === 'consistency=one')!;
/** After so long a node knows that it is cut off. */
const CUT_OFF_MS = 4500;
const CARRY_STATES = /^(replica\.store|handoff\.)/;
/** All of repair but what reclaiming asks of those who have nothing to give up. */
const COMPARES = /^repair\.(?!time|promise|same|compact)/;

/** One more actor, and the vector is long. */
async function almostLong(stage: Stage, machine: Machine, target: Target): Promise<void> {
  const { simulation } = stage.arena.cluster;
  for (let i = 0; i <= SPARE_ENTRIES_MAX; i++) {
    stage.crash(machine);
    await simulation.run(() => machine.running === undefined);
    await simulation.run(() => machine.running?.node.ready() === true);
    await stage.pass(200);
    await stage.replace(machine, target, ALL);
  }
}

export const VECTOR_SCRIPTS = {
  /** An owner has confirmed a write and stopped before anybody else heard of it; then the others' vectors are long. */
  'a-long-vector-lacks-a-write': async (stage: Stage) => {
    const [first, second, third] = stage.machines();
    const target = { bucket: stage.bucketOf('siblings'), key: 'k' };
    await almostLong(stage, first, target);
    await stage.heal();
    stage.loses(CARRY_STATES);
    await stage.put(third, target, ONE);
    stage.crash(third);
    stage.loses(COMPARES);
    await stage.pass(1000);
    stage.loses(/^(replica\.fetch|repair\.(?!time|promise|same|compact))/, third);
    await stage.replace(second, target, STRICT);
    stage.loses(COMPARES);
    await stage.pass(6000);
    await stage.heal();
    await stage.get(first, target, ALL);
  },
  /** A fallback has minted in the owners' place, and cannot bring it home while their vectors are long. */
  'a-hint-beside-a-long-vector': async (stage: Stage) => {
    const { cluster } = stage.arena;
    const bucket = stage.bucketOf('siblings');
    const target = { bucket, key: 'k' };
    const owners = ownersOfKey(cluster, bucket.name, 'k');
    const fallback = cluster.machines.find((machine) => !owners.includes(machine))!;
    await almostLong(stage, owners[0]!, target);
    stage.cut(fallback, owners);
    await stage.pass(CUT_OFF_MS);
    await stage.put(fallback, target, ONE);
    stage.clear();
    for (const owner of owners) stage.loses(CARRY_STATES, owner);
    await stage.pass(CUT_OFF_MS);
    for (const a of owners) for (const b of owners) if (a !== b) stage.reconnect(a, b);
    await stage.replace(owners[1]!, target, STRICT);
    await stage.pass(6000);
    await stage.heal();
    await stage.get(owners[0]!, target, ALL);
  },
  /** A horizon is there; then an owner loses its disk, and its clock, and writes before it has learnt anything of the key. */
  'a-late-clock-after-a-horizon': async (stage: Stage) => {
    const [first, second, third] = stage.machines();
    const target = { bucket: stage.bucketOf('siblings'), key: 'k' };
    await almostLong(stage, first, target);
    await stage.replace(second, target, ALL);
    await stage.pass(6000);
    stage.crash(third);
    third.medium.wipe();
    stage.arena.watch.diskLost(third);
    third.host.clock.jump(-20_000);
    stage.loses(/^repair\.(?!time)/, third);
    await stage.arena.cluster.simulation.run(() => third.running?.node.ready() === true);
    await stage.put(third, target, ONE);
    await stage.heal();
    await stage.arena.refilled();
    await stage.get(first, target, ALL);
  },
};
