/** What repair owes when all is healed: equal trees at all owners, no tombstone left, and no long vector. */

import { ownersOf } from '#ring/preference-list.ts';
import { hash64ToHex } from '#kernel/siphash.ts';
import { DEAD_ROWS } from '#repair/dead-rows.ts';
import { LONG_VECTORS } from '#repair/long-vectors.ts';
import type { Finding } from './arena.ts';
import type { Machine, SimulatedCluster } from './cluster.ts';
import { newestFacts } from './white-box.ts';

/** Virtual milliseconds within which all of them are gone. */
const RECLAIM_MS = 180_000;
const STEP_MS = 1000;

/** The owners of each partition have the same root: convergence of all keys, without reading any. */
export function checkRoots(cluster: SimulatedCluster, find: (finding: Finding) => void): void {
  const { ring } = newestFacts(cluster).facts;
  for (const { n, partitions } of ring.placements) {
    for (let partition = 0; partition < partitions.length; partition++) {
      const roots = ownersOf(ring, n, partition).owners.flatMap((index) => {
        const id = ring.members.find((member) => member.index === index)?.id;
        const running = id === undefined ? undefined : cluster.machine(id).running;
        if (running === undefined) return [];
        return [`${id} ${hash64ToHex(running.node.repair.root({ n, partition }))}`];
      });
      const distinct = new Set(roots.map((root) => root.split(' ')[1]));
      if (distinct.size > 1) find({ check: 'roots', key: `${n}/${partition}`, detail: roots.join(', ') });
    }
  }
}

/** Waits until no node has a tombstone, or a long vector. */
export async function checkReclaimed(
  { simulation }: SimulatedCluster,
  machines: readonly Machine[],
  find: (finding: Finding) => void,
): Promise<void> {
  const left = (): readonly string[] =>
    machines.flatMap(({ id, medium }) => {
      const count = [DEAD_ROWS, LONG_VECTORS].reduce((sum, name) => sum + [...medium.table(name).rows()].length, 0);
      return count === 0 ? [] : [`${id} has ${count}`];
    });
  for (const until = simulation.now + RECLAIM_MS; left().length > 0 && simulation.now < until;) {
    await simulation.run(simulation.now + STEP_MS);
  }
  if (left().length === 0) return;
  const blocked = machines.flatMap(({ running }) => running?.node.repair.reclaim.run(false).blocked ?? []);
  find({ check: 'tombstones', key: '', detail: `${left().join(', ')}; ${blocked.slice(0, 3).join('; ')}` });
}
