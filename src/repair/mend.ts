/**
 * Gets rows back that were damaged and forgotten: asks the other owners what they hold of each and joins it. The replica
 * answers for the key again when N−W+1 others (W a majority of the N owners) have answered: every write that a quorum took,
 * this replica perhaps among it, is then known to one of them.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { DamagedRow } from '#replica/damaged-rows.ts';
import { CORRUPT_ROW } from '#replica/records.ts';
import { asRefusal, REFILLING } from '#replica/refusals.ts';
import type { Away } from '#membership/away.ts';
import { FetchMessage } from '#replica/messages.ts';
import type { Replica } from '#replica/replica.ts';
import type { Knowledge, Scope } from '#replica/scope.ts';
import { writersOf } from '#ring/moving.ts';
import { hasPlacement, ownersOf } from '#ring/preference-list.ts';
import { Refusal } from '#wire/message.ts';
import type { Member } from '#ring/ring.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Counter, Timer, World } from '#world/world.ts';

export interface MendOptions {
  readonly world: World;
  readonly messaging: Messaging;
  readonly knowledge: Knowledge;
  readonly replica: Replica;
  readonly self: NodeId;
  readonly ready: () => boolean;
  readonly callTimeout: number;
  readonly away: Pick<Away, 'for'>;
  /** Milliseconds that a member which leaves may be out of reach before nobody waits for what it alone has. */
  readonly leaverPatience: number;
}

/** Rows that are being got back at once. */
const AT_ONCE = 16;
/** Milliseconds between two attempts at what could not be got back. */
const RETRY_MS = 1000;

/** How many other owners, of so many in all, must have given what they have until this one can vouch for absences again. */
export function othersNeeded(owners: number): number {
  const majority = Math.floor(owners / 2) + 1;
  return owners - majority + 1;
}

export class Mend {
  readonly #options: MendOptions;
  readonly #mended: Counter;
  readonly #lost: Counter;
  #running = false;
  #timer: Timer | undefined;
  #stopped = true;

  constructor(options: MendOptions) {
    this.#options = options;
    const { metrics } = options.world;
    this.#mended = metrics.counter('quoral_rows_mended_total', 'Damaged rows that were got back from other owners');
    this.#lost = metrics.counter('quoral_rows_lost_total', 'Damaged rows that too few other owners could give back');
    options.replica.damaged.onMarked(() => this.#soon(0));
  }

  start(): void {
    this.#stopped = false;
    this.#soon(0);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #soon(delay: number): void {
    if (this.#stopped || this.#running) return;
    this.#timer?.cancel();
    this.#timer = this.#options.world.clock.after(delay, () => void this.#pass());
  }

  async #pass(): Promise<void> {
    const { replica, ready, world } = this.#options;
    if (this.#stopped || this.#running) return;
    this.#running = true;
    try {
      const rows = ready() ? replica.damaged.list() : [];
      for (let first = 0; first < rows.length && !this.#stopped; first += AT_ONCE) {
        await Promise.all(rows.slice(first, first + AT_ONCE).map((row) => this.#mend(row)));
      }
    } catch (error) {
      const level = asRefusal(error) instanceof Refusal ? 'debug' : 'error';
      world.log[level]('rows-not-mended', { reason: String(error) });
    }
    this.#running = false;
    if (replica.damaged.list().length > 0) this.#soon(RETRY_MS);
  }

  async #mend(row: DamagedRow): Promise<void> {
    const { replica, world, knowledge, self } = this.#options;
    const { place, key } = row;
    const ring = knowledge.ring();
    const entry = hasPlacement(ring, place.n) ? ownersOf(ring, place.n, place.partition) : undefined;
    const owners = entry?.owners ?? [];
    const others = owners.flatMap((index) =>
      ring.members.filter((member) => member.index === index && member.id !== self),
    );
    // Also one that takes the partition over, and counts for its writes already, before it serves reads.
    const isOwner = entry !== undefined && writersOf(entry).includes(knowledge.self());
    const fields = { bucket: place.bucket, partition: place.partition, key };
    if (isOwner && others.length === 0) {
      this.#lost.add();
      world.log.error('row-lost', { ...fields, detail: 'no other node owns the key' });
    } else if (isOwner && knowledge.bucket(place.bucket).incarnation === place.incarnation) {
      const answers = await Promise.all(
        others.map(async (other) => (this.#isLost(other) ? 'lost' : this.#joinFrom(other.id, row))),
      );
      const joined = answers.filter((answer) => answer === 'joined').length;
      if (joined >= othersNeeded(owners.length)) {
        this.#mended.add();
        world.log.info('row-mended', fields);
      } else if (answers.every((answer) => answer !== 'silent')) {
        // All have been heard, and some have lost it too: nothing more can be learnt from anybody.
        this.#lost.add();
        world.log.error('row-lost', {
          ...fields,
          detail: 'too many owners have lost what they had of the key',
          joined,
        });
      } else return;
    }
    await replica.damaged.mended(row);
  }

  /**
   * It has lost its disk, or it leaves and the ring changes without what it alone has. The new owner in its place cannot take over
   * before this row is no longer in doubt.
   */
  #isLost({ id, state }: Member): boolean {
    const { away, leaverPatience } = this.#options;
    return state === 'refilling' || (state === 'leaving' && away.for(id) >= leaverPatience);
  }

  /** `joined`: the owner has said what it holds, and that is joined here on stable storage. `lost`: its row is gone too. */
  async #joinFrom(id: NodeId, { place, key }: DamagedRow): Promise<'joined' | 'lost' | 'silent'> {
    const { messaging, knowledge, world, callTimeout, replica } = this.#options;
    const deadline = world.clock.monotonic() + callTimeout;
    const definition = knowledge.bucket(place.bucket).version;
    const { n, partition, bucket, incarnation } = place;
    const scope: Scope = { epoch: knowledge.epoch(), n, partition, bucket, incarnation, definition };
    const origin = replica.now();
    const result = await messaging.call(id, FetchMessage, { scope, requestId: 'mend', key }, { deadline });
    if (result.kind === 'refused' && (result.code === CORRUPT_ROW || result.code === REFILLING)) return 'lost';
    if (result.kind !== 'reply') return 'silent';
    const { state } = result.reply;
    // All of it was asked for.
    if (state === undefined) return 'silent';
    if (state === null) return 'joined';
    try {
      await replica.store({ scope, requestId: 'mend', key, state, durable: true, origin }, deadline);
      return 'joined';
    } catch (error) {
      if (error instanceof Refusal) return 'silent';
      throw error;
    }
  }
}
