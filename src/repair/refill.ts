/**
 * Fills a member that came back with an empty disk. For each of its partitions it exchanges everything with N−W+1 of the
 * other owners (W a majority of the N): what a quorum has taken is then known to one of them, so the node can vouch for
 * absences again. When all its partitions are filled, the epoch chain makes it `active`.
 *
 * Which owners a partition has been merged with stands on the disk, so that a restart goes on where it was. An owner counts
 * only when it could vouch for all that it has: not while it is being filled itself, nor while it lacks a damaged row.
 */

import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Replica } from '#replica/replica.ts';
import { asRefusal } from '#replica/refusals.ts';
import type { Knowledge } from '#replica/scope.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { TableDefinition, Timer, World } from '#world/world.ts';
import type { AntiEntropy } from './anti-entropy.ts';
import { exchangesAtOnce, workOn } from './at-once.ts';
import { ExchangeFailed } from './exchange.ts';
import { othersNeeded } from './mend.ts';
import { treeKey, type TreePlace } from './tree-tables.ts';
import type { MerkleTrees } from './trees.ts';

/** n u8 | partition u16 | index u16 of an owner that this partition was merged with  →  nothing. */
export const REFILLED = 'refilled';
export const REFILL_TABLES: readonly TableDefinition[] = [{ name: REFILLED, rows: 'narrow' }];

export interface RefillOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly knowledge: Knowledge;
  readonly replica: Replica;
  readonly trees: MerkleTrees;
  readonly self: NodeId;
  readonly ready: () => boolean;
  readonly antiEntropy: Pick<AntiEntropy, 'exchange' | 'takeRetries'>;
  /** Whether there are buckets with this number of replicas. */
  readonly isInUse: (n: number) => boolean;
  /** Makes this member active in the facts of the cluster; true when it is. */
  readonly activate: () => Promise<boolean>;
}

/** Milliseconds between two looks at what is left, and between two complaints about what blocks it. */
const RETRY_MS = 1000;
const COMPLAINT_MS = 60_000;
const NOTHING = new Uint8Array(0);

interface PlaceToFill {
  readonly place: TreePlace;
  readonly others: readonly Member[];
  /** Owners that it still has to be merged with. */
  readonly lacking: number;
}

export class Refill {
  readonly #options: RefillOptions;
  #timer: Timer | undefined;
  #stopped = true;
  #left = 0;
  #cleared = false;
  #complainedAt = -Infinity;
  #toldLost = false;

  constructor(options: RefillOptions) {
    this.#options = options;
    const help = 'Partitions of this node that are not filled yet since it lost its disk';
    options.world.metrics.gauge('quoral_refill_partitions_left', help, () => this.#left);
  }

  start(): void {
    this.#stopped = false;
    this.#later(0);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #later(delay: number): void {
    this.#timer = this.#options.world.clock.after(delay, () => void this.#turn());
  }

  async #turn(): Promise<void> {
    const { ready, knowledge, trees, world } = this.#options;
    if (this.#stopped) return;
    try {
      if (ready() && trees.ready()) {
        if (knowledge.refilling()) await this.#fill();
        else await this.#clear();
      }
    } catch (error) {
      const level = asRefusal(error) instanceof Refusal ? 'debug' : 'error';
      world.log[level]('refill-failed', { reason: String(error) });
    }
    if (!this.#stopped) this.#later(RETRY_MS);
  }

  async #fill(): Promise<void> {
    this.#cleared = false;
    this.#tellLost();
    const { messaging, knowledge } = this.#options;
    const places = this.#places();
    this.#left = places.length;
    await workOn(places, exchangesAtOnce(messaging, knowledge.ring(), 1), async (place) => {
      if (!this.#stopped && (await this.#fillPlace(place))) this.#left -= 1;
    });
    if (this.#stopped || this.#left > 0 || this.#places().length > 0) return;
    if (await this.#options.activate()) this.#options.world.log.info('refilled', { id: this.#options.self });
  }

  /** Nobody can fill what nobody else owns: from now on it counts as empty. */
  #tellLost(): void {
    if (this.#toldLost) return;
    this.#toldLost = true;
    const { knowledge, world, isInUse } = this.#options;
    const self = knowledge.self();
    for (const { n, partitions } of knowledge.ring().placements.filter((one) => isInUse(one.n))) {
      const lost = partitions.filter(({ owners }) => owners.length === 1 && owners[0] === self).length;
      if (lost === 0) continue;
      const detail = 'the disk is empty and no other node owns them: what they held is gone';
      world.log.error('partitions-lost', { n, partitions: lost, detail });
    }
  }

  /** The own partitions that are not filled. */
  #places(): readonly PlaceToFill[] {
    const { knowledge } = this.#options;
    const ring = knowledge.ring();
    const self = knowledge.self();
    return ring.placements.flatMap(({ n, partitions }) =>
      partitions.flatMap(({ owners }, partition) => {
        if (!owners.includes(self)) return [];
        const place = { n, partition };
        const merged = this.#mergedWith(place);
        const others = owners.filter((owner) => owner !== self);
        // A partition that nobody else owns has lost what it had: nothing can be waited for.
        const needed = Math.min(others.length, othersNeeded(owners.length));
        const lacking = needed - others.filter((owner) => merged.has(owner)).length;
        if (lacking <= 0) return [];
        const left = ring.members.filter(({ index }) => others.includes(index) && !merged.has(index));
        return [{ place, others: left, lacking }];
      }),
    );
  }

  async #fillPlace({ place, others, lacking }: PlaceToFill): Promise<boolean> {
    const { messaging } = this.#options;
    let left = lacking;
    let reason = '';
    for (const { id, index, state } of others) {
      if (left === 0 || this.#stopped) break;
      if (state === 'refilling' || !messaging.reachable(id)) {
        reason ||= `${id} ${state === 'refilling' ? 'is being filled itself' : 'cannot be reached'}`;
        continue;
      }
      const failure = await this.#mergeWith(id, index, place);
      if (failure === undefined) left -= 1;
      else reason ||= `${id}: ${failure}`;
    }
    if (left > 0) this.#complain(place, left, reason);
    return left === 0;
  }

  /** Takes over all that the owner has of the partition; what went wrong, if something did. */
  async #mergeWith(id: NodeId, index: NodeIndex, place: TreePlace): Promise<string | undefined> {
    const { antiEntropy, replica } = this.#options;
    try {
      const { complete, refused } = await antiEntropy.exchange(id, place, {
        settle: 0,
        keysMax: Infinity,
        vouch: true,
      });
      if (!complete || refused > 0) return `${refused} states were not taken`;
      await antiEntropy.takeRetries(id, place);
    } catch (error) {
      if (error instanceof ExchangeFailed) return error.message;
      throw error;
    }
    await replica.commits.submit({
      run: (transaction) => transaction.put(REFILLED, refilledKey(place, index), NOTHING),
      bytes: 0,
      // The states are on stable storage already; should this be lost, it is done again.
      durable: false,
    });
    return undefined;
  }

  #mergedWith(place: TreePlace): ReadonlySet<NodeIndex> {
    const from = treeKey(place);
    const rows = this.#options.world.disk.range(REFILLED, {
      from,
      to: Uint8Array.of(...from, 0xff, 0xff, 0),
      limit: 64,
    });
    return new Set(rows.map(([key]) => ((key[3]! << 8) | key[4]!) as NodeIndex));
  }

  #complain({ n, partition }: TreePlace, lacking: number, reason: string): void {
    const { clock, log } = this.#options.world;
    if (clock.monotonic() < this.#complainedAt + COMPLAINT_MS) return;
    this.#complainedAt = clock.monotonic();
    log.warn('refill-blocked', { n, partition, lacking, reason, partitionsLeft: this.#left });
  }

  /** What was merged says nothing any more when the disk is lost or put back another time. */
  async #clear(): Promise<void> {
    this.#left = 0;
    if (this.#cleared) return;
    const { world, replica } = this.#options;
    const rows = world.disk.range(REFILLED, { limit: 256 });
    this.#cleared = rows.length === 0;
    if (this.#cleared) return;
    await replica.commits.submit({
      run: (transaction) => {
        for (const [key] of rows) transaction.delete(REFILLED, key);
      },
      bytes: 0,
      durable: true,
    });
  }
}

function refilledKey(place: TreePlace, owner: NodeIndex): Uint8Array {
  return Uint8Array.of(...treeKey(place), owner >>> 8, owner);
}
