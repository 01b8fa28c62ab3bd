/**
 * Keeps the hints within their bounds of bytes and age. What is not the only copy makes room, the oldest first; when only
 * sole copies are left, the table itself refuses further ones.
 */

import { hybridTimeAt } from '#causality/hybrid-clock.ts';
import type { Clock, Counter, Log, Metrics } from '#world/world.ts';
import { chooseDrops, type Drop } from './choose-drops.ts';
import type { HintTable } from './hint-table.ts';
import { ownerOf, ownerPrefix } from './tables.ts';
import type { NodeIndex } from '#kernel/identity.ts';

export interface HintRoomOptions {
  readonly world: { readonly clock: Clock; readonly log: Log; readonly metrics: Metrics };
  readonly table: HintTable;
  readonly nameOf: (owner: NodeIndex) => string;
  /** Whether this node serves: not while its clock is in doubt, by which hints would be old that are not. */
  readonly ready: () => boolean;
  readonly bytesMax: number;
  /** Milliseconds after which a hint that is not the only copy is given up. */
  readonly ageMax: number;
}

/** Above the first share of the bytes room is made, down to the second. */
const CROWDED = 0.9;
const ROOMY = 0.8;
/** Rows given up in one transaction. */
const PAGE = 256;

export class HintRoom {
  readonly #options: HintRoomOptions;
  readonly #dropped: Readonly<Record<Drop['reason'], Counter>>;
  #busy = false;

  constructor(options: HintRoomOptions) {
    this.#options = options;
    const { metrics } = options.world;
    this.#dropped = { age: droppedCounter(metrics, 'age'), space: droppedCounter(metrics, 'space') };
  }

  get crowded(): boolean {
    return this.#options.table.figures.bytes > this.#options.bytesMax * CROWDED;
  }

  /** Whether an operation of this hybrid time is older than hints are kept that are not the only copy. */
  isOld(low: number): boolean {
    return low < hybridTimeAt(this.#options.world.clock.wall() - this.#options.ageMax);
  }

  /** Gives up what is too old and, when the table is crowded, the oldest of the rest. */
  async make(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const bytesWanted = this.crowded ? this.#options.bytesMax * ROOMY : Infinity;
      for (let drops = this.#choose(bytesWanted); drops.length > 0; drops = this.#choose(bytesWanted)) {
        const dropped = await this.#options.table.drop(drops.map(({ entry }) => entry));
        this.#tell(drops, dropped);
      }
    } catch (error) {
      this.#options.world.log.error('hints-not-dropped', { reason: String(error) });
    } finally {
      this.#busy = false;
    }
  }

  #choose(bytesWanted: number): readonly Drop[] {
    const { table, ageMax, ready, world } = this.#options;
    const candidates = table.figures
      .owners()
      .flatMap((owner) => table.entries(owner, ownerPrefix(owner, false), PAGE).filter(({ sole }) => !sole));
    const excess = {
      bytes: Math.max(0, table.figures.bytes - bytesWanted),
      before: ready() ? hybridTimeAt(world.clock.wall() - ageMax) : 0,
    };
    return chooseDrops(candidates, excess).slice(0, PAGE);
  }

  #tell(drops: readonly Drop[], dropped: number): void {
    const peers = new Set<string>();
    for (const { entry, reason } of drops) {
      this.#dropped[reason].add();
      peers.add(this.#options.nameOf(ownerOf(entry.row)));
    }
    const reasons = [...new Set(drops.map(({ reason }) => reason))];
    this.#options.world.log.warn('hints-dropped', { peers: [...peers], reasons, count: dropped });
  }
}

/** Hints that were never delivered. */
export function droppedCounter(
  metrics: Metrics,
  reason: 'age' | 'space' | 'bucket-dropped' | 'nothing-left' | 'owner-left',
): Counter {
  const help = 'Hints that were given up; none was the only copy of a write that was acknowledged';
  return metrics.counter('quoral_hints_dropped_total', help, { reason });
}
