/**
 * Strong keys while a partition moves. The old owners vote until the new ones serve reads; that epoch fences all rounds that
 * began before. Whoever takes the partition over has no vote at first: it takes over the registers of so many old owners, each of
 * which knows that epoch, that one of them has what any majority of them had chosen; then it votes. Those that stay vote at
 * once, for a majority of the new owners that are old ones too meets every majority of the old ones. Where there will be fewer
 * owners that is not so, and all of them take over first.
 */

import type { NodeId } from '#kernel/identity.ts';
import { asRefusal } from '#replica/refusals.ts';
import type { Replica } from '#replica/replica.ts';
import type { Knowledge } from '#replica/scope.ts';
import { oldOwners, takersOf } from '#ring/moving.ts';
import { Refusal } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Timer, World } from '#world/world.ts';
import { isNoted, movingEntries, noting } from './moved-rows.ts';

export interface MoveVotesOptions {
  readonly world: Pick<World, 'clock' | 'disk' | 'log'>;
  readonly messaging: Messaging;
  readonly knowledge: Knowledge;
  readonly replica: Pick<Replica, 'commits'>;
  readonly ready: () => boolean;
  /** Whether there are strong buckets with this n. */
  readonly isStrong: (n: number) => boolean;
  /** Takes over the registers that the member has of this node's partitions; what went wrong, if something did. */
  readonly takeRegisters: (from: NodeId) => Promise<string | undefined>;
  /** Milliseconds before what could not be done is tried again. */
  readonly lookInterval: number;
}

type Entry = ReturnType<typeof movingEntries>[number];

export class MoveVotes {
  readonly #options: MoveVotesOptions;
  #timer: Timer | undefined;
  #stopped = true;
  #busy = false;

  constructor(options: MoveVotesOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopped = false;
    this.wake();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** To be called when the facts have changed: while it has all its votes, there are no looks. */
  wake(): void {
    if (this.#stopped || this.#busy) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    void this.#turn();
  }

  /** The partitions of strong keys in which this node must not vote yet. */
  #lacking(): readonly Entry[] {
    const { knowledge, isStrong, world } = this.#options;
    const self = knowledge.self();
    return movingEntries(knowledge.ring()).filter(
      ({ place, entry }) =>
        entry.move!.stage === 'read-new' &&
        isStrong(place.n) &&
        takersOf(entry).includes(self) &&
        !isNoted(world.disk, place, entry),
    );
  }

  async #turn(): Promise<void> {
    const { world, lookInterval, ready } = this.#options;
    this.#busy = true;
    // Until it serves it does not know, and nobody says when it does.
    let again = true;
    try {
      if (ready()) {
        await this.#takeOver(this.#lacking());
        again = this.#lacking().length > 0;
      }
    } catch (error) {
      const level = asRefusal(error) instanceof Refusal ? 'debug' : 'error';
      world.log[level]('votes-not-taken', { reason: String(error) });
    }
    this.#busy = false;
    if (this.#stopped || !again) return;
    this.#timer = world.clock.after(lookInterval, () => {
      this.#timer = undefined;
      this.wake();
    });
  }

  async #takeOver(entries: readonly Entry[]): Promise<void> {
    const { knowledge, messaging, takeRegisters, replica, world } = this.#options;
    if (entries.length === 0) return;
    const self = knowledge.self();
    const wanted = new Set(entries.flatMap(({ entry }) => oldOwners(entry)));
    // One that has lost its disk knows of nothing that it voted for.
    const taken = new Set(knowledge.refilling() ? [] : [self]);
    let trouble = '';
    for (const { id, index, state } of knowledge.ring().members) {
      if (!wanted.has(index) || index === self || state === 'refilling' || !messaging.reachable(id)) continue;
      const failure = await takeRegisters(id);
      if (failure === undefined) taken.add(index);
      else trouble = `${id}: ${failure}`;
    }
    const done = entries.filter(({ entry }) => {
      const old = oldOwners(entry);
      return old.filter((index) => taken.has(index)).length >= old.length - Math.floor(old.length / 2);
    });
    if (done.length < entries.length) {
      world.log.debug('votes-not-taken', { partitions: entries.length - done.length, reason: trouble });
    }
    if (done.length === 0) return;
    const run = noting(world.disk, knowledge.ring(), done);
    await replica.commits.submit({ run, bytes: 0, durable: true });
  }
}
