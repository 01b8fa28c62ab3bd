/**
 * The room's door: everything that makes replicas agree again without being asked.
 */

import { hasPlacement } from '#ring/preference-list.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import type { Knowledge } from '#replica/scope.ts';
import type { RecordName } from '#replica/tables.ts';
import type { World } from '#world/world.ts';
import { TreeRebuild } from './tree-rebuild.ts';
import type { TreePlace } from './tree-tables.ts';
import type { MerkleTrees } from './trees.ts';

/** Milliseconds between two looks at whether something is to be done that had to wait. */
const TICK_MS = 1000;

export interface RepairOptions {
  readonly world: World;
  readonly knowledge: Knowledge;
  readonly trees: MerkleTrees;
}

export class Repair {
  readonly #options: RepairOptions;
  readonly #rebuild: TreeRebuild;
  #running = false;

  constructor(options: RepairOptions) {
    this.#options = options;
    const { world, knowledge, trees } = options;
    this.#rebuild = new TreeRebuild({ world, trees, placeOf: (name) => placeOfRow(knowledge, name) });
  }

  start(): void {
    this.#running = true;
    this.#tick();
  }

  stop(): void {
    this.#running = false;
    this.#rebuild.stop();
  }

  #tick(): void {
    if (!this.#running) return;
    if (this.#options.knowledge.epoch() > 0) this.#rebuild.start();
    this.#options.world.clock.after(TICK_MS, () => this.#tick());
  }
}

/** The partition that the row belongs to; undefined when its bucket is in another life now. */
export function placeOfRow(knowledge: Knowledge, { bucket, incarnation, key }: RecordName): TreePlace | undefined {
  const known = knowledge.bucket(bucket);
  const ring = knowledge.ring();
  if (known.incarnation !== incarnation || !hasPlacement(ring, known.n)) return undefined;
  return { n: known.n, partition: partitionOf(ring, hashKey(ring, bucket, key)) };
}
