/**
 * Strong keys while a partition moves. The old owners vote until the new ones serve reads; that epoch fences all rounds that
 * began before. Whoever takes the partition over has no vote at first: it takes over the registers of so many old owners, each of
 * which knows that epoch, that one of them has what any majority of them had chosen; then it votes. Those that stay vote at
 * once, for a majority of the new owners that are old ones too meets every majority of the old ones. Where there will be fewer
 * owners that is not so, and all of them take over first. A register that is damaged at an old owner takes others (votes-known.ts).
 */

import { toHex } from '#kernel/bytes.ts';
import type { NodeId, NodeIndex } from '#kernel/identity.ts';
import type { Away } from '#membership/away.ts';
import { asRefusal } from '#replica/refusals.ts';
import type { Replica } from '#replica/replica.ts';
import type { Knowledge } from '#replica/scope.ts';
import { newOwners, oldOwners, takersOf } from '#ring/moving.ts';
import { Refusal } from '#wire/message.ts';
import type { Messaging } from '#wire/messaging.ts';
import type { Timer, World } from '#world/world.ts';
import { isNoted, movingEntries, noting } from './moved-rows.ts';
import type { TreePlace } from './tree-tables.ts';
import { isUnclear, judgeVotes, type VotesHeard } from './votes-known.ts';

/** After so long without votes that is told, and again each time. */
const COMPLAINT_MS = 60_000;

/** What came of taking over the registers of one member. */
export type TakenRegisters =
  | { readonly kind: 'failed'; readonly reason: string }
  /** All that are whole; these are damaged there. */
  | { readonly kind: 'taken'; readonly damaged: readonly DamagedRegister[] };

export interface DamagedRegister {
  readonly rowKey: Uint8Array;
  readonly place: TreePlace;
}

export interface MoveVotesOptions {
  readonly world: Pick<World, 'clock' | 'disk' | 'log'>;
  readonly messaging: Messaging;
  readonly knowledge: Knowledge;
  readonly replica: Pick<Replica, 'commits'>;
  readonly ready: () => boolean;
  /** Whether there are strong buckets with this n. */
  readonly isStrong: (n: number) => boolean;
  /** Takes over the registers that the member has of this node's partitions. */
  readonly takeRegisters: (from: NodeId) => Promise<TakenRegisters>;
  /** From now on these are damaged here as well. */
  readonly giveRegistersUp: (rowKeys: readonly Uint8Array[]) => Promise<void>;
  readonly away: Pick<Away, 'for'>;
  /** Milliseconds that a member which leaves may be out of reach before nobody waits for what it alone has. */
  readonly leaverPatience: number;
  /** Milliseconds before what could not be done is tried again. */
  readonly lookInterval: number;
}

type Entry = ReturnType<typeof movingEntries>[number];

export class MoveVotes {
  readonly #options: MoveVotesOptions;
  #timer: Timer | undefined;
  #stopped = true;
  #busy = false;
  #lackingSince: number | undefined;

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
    const { knowledge, messaging, takeRegisters, world } = this.#options;
    if (entries.length === 0) return;
    const self = knowledge.self();
    const wanted = new Set(entries.flatMap(({ entry }) => oldOwners(entry)));
    // One that has lost its disk knows of nothing that it voted for.
    const heard = new Set(knowledge.refilling() ? [] : [self]);
    const damaged = new Map<string, Damaged>();
    let trouble = '';
    for (const { id, index, state } of knowledge.ring().members) {
      if (!wanted.has(index) || index === self || state === 'refilling' || !messaging.reachable(id)) continue;
      const result = await takeRegisters(id);
      if (result.kind === 'failed') trouble = `${id}: ${result.reason}`;
      else {
        heard.add(index);
        for (const register of result.damaged) noteDamaged(damaged, register, index);
      }
    }
    const done: Entry[] = [];
    for (const entry of entries) if (await this.#isKnown(entry, heard, damaged)) done.push(entry);
    if (done.length < entries.length) this.#complain(entries.length - done.length, trouble, damaged.size);
    else this.#lackingSince = undefined;
    if (done.length === 0) return;
    const run = noting(world.disk, knowledge.ring(), done);
    await this.#options.replica.commits.submit({ run, bytes: 0, durable: true });
  }

  async #isKnown(
    { place, entry }: Entry,
    heard: ReadonlySet<NodeIndex>,
    damaged: ReadonlyMap<string, Damaged>,
  ): Promise<boolean> {
    const { knowledge, giveRegistersUp } = this.#options;
    const here = [...damaged.values()].filter(
      (one) => one.place.n === place.n && one.place.partition === place.partition,
    );
    const votes: VotesHeard = {
      ...{ old: oldOwners(entry), now: newOwners(entry), self: knowledge.self(), heard },
      damagedAt: here.map(({ at }) => at),
      isLost: (index) => this.#isLost(index),
    };
    const verdict = judgeVotes(votes);
    if (verdict === 'given-up') {
      await giveRegistersUp(here.filter(({ at }) => isUnclear(votes, at)).map(({ rowKey }) => rowKey));
    }
    return verdict !== 'lacking';
  }

  /** What it had is lost, or it leaves and nobody waits for it any more. */
  #isLost(index: NodeIndex): boolean {
    const { knowledge, away, leaverPatience } = this.#options;
    const member = knowledge.ring().members.find((one) => one.index === index);
    if (member === undefined || member.state === 'refilling') return true;
    return member.state === 'leaving' && away.for(member.id) >= leaverPatience;
  }

  #complain(partitions: number, reason: string, damaged: number): void {
    const { world } = this.#options;
    const now = world.clock.monotonic();
    this.#lackingSince ??= now;
    const fields = { partitions, reason, damaged };
    if (now - this.#lackingSince < COMPLAINT_MS) return world.log.debug('votes-not-taken', fields);
    this.#lackingSince = now;
    world.log.warn('votes-not-taken', fields);
  }
}

interface Damaged extends DamagedRegister {
  /** The old owners at which it is. */
  readonly at: Set<NodeIndex>;
}

function noteDamaged(damaged: Map<string, Damaged>, { rowKey, place }: DamagedRegister, at: NodeIndex): void {
  const name = toHex(rowKey);
  const known = damaged.get(name) ?? { rowKey, place, at: new Set() };
  damaged.set(name, known);
  known.at.add(at);
}
