/**
 * Gives a member that has lost its disk the registers of its strong keys back, before it may vote again: an acceptor that
 * has forgotten lets two values be chosen.
 *
 * It asks N−W+1 of the other owners of each partition (W a majority), of which each knows the epoch in which the disk was
 * lost. That epoch fences all rounds that began before it, so whatever such a round has had promised or accepted is known to
 * one of those owners by then, or can never count any more. A register of which one of them can say nothing, because its row is
 * damaged, is taken over as damaged: it has no vote until it is mended. A new owner takes over in the same way, but asks others
 * for what is damaged somewhere (repair/move-votes.ts).
 */

import { mergeRegisters } from '#consensus/register.ts';
import { EMPTY_BYTES, successor } from '#kernel/bytes.ts';
import type { Epoch, NodeId, NodeIndex } from '#kernel/identity.ts';
import type { DamagedRegister, TakenRegisters } from '#repair/move-votes.ts';
import { placeOfRow } from '#repair/repair.ts';
import { othersNeeded } from '#repair/mend.ts';
import { knowsVotes, movingEntries } from '#repair/moved-rows.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import { REFILLING } from '#replica/refusals.ts';
import { BEHIND } from '#replica/scope.ts';
import { recordName, REGISTERS, type RecordName } from '#replica/tables.ts';
import { oldOwners } from '#ring/moving.ts';
import { ownersOf } from '#ring/preference-list.ts';
import { presentMember } from '#ring/present-member.ts';
import { Refusal } from '#wire/message.ts';
import { readPage, type Page } from '#world/pages.ts';
import { transferTime } from '#wire/settings.ts';
import type { Environment } from './environment.ts';
import {
  PAGE_ROWS_MAX,
  RegisterPageMessage,
  type RegisterPageReply,
  type RegisterPageRequest,
} from './register-messages.ts';
import type { RegisterRows } from './register-rows.ts';

/** Bytes of rows after which a page ends. */
const PAGE_BYTES = 1024 * 1024;
const CALL_MS = 30_000;
const COMPLAINT_MS = 60_000;

export interface RegisterRefillOptions extends Pick<Environment, 'world' | 'messaging' | 'knowledge' | 'replica'> {
  readonly rows: RegisterRows;
}

export class RegisterRefill {
  readonly #options: RegisterRefillOptions;
  /** Owners whose registers this node has taken over since it lost its own. */
  readonly #asked = new Set<NodeIndex>();
  /** The stages in which that was done which {@link #forgetFormer} does. */
  readonly #forgotten = new Set<Epoch>();
  #complainedAt = -Infinity;

  constructor(options: RegisterRefillOptions) {
    this.#options = options;
  }

  /** True when this node knows enough of its registers to vote again; otherwise it is to be called again later. */
  async fill(): Promise<boolean> {
    const { knowledge, messaging } = this.#options;
    let reason = '';
    for (const { id, index, state } of knowledge.ring().members) {
      if (index === knowledge.self() || state === 'removed' || this.#asked.has(index)) continue;
      if (!messaging.reachable(id)) {
        reason ||= `${id} cannot be reached`;
        continue;
      }
      const taken = await this.takeOver(id);
      if (taken.kind === 'taken') {
        await this.giveUp(taken.damaged.map(({ rowKey }) => rowKey));
        this.#asked.add(index);
      } else reason ||= `${id}: ${taken.reason}`;
    }
    const lacking = this.#placesLacking();
    if (lacking > 0) this.#complain(lacking, reason);
    return lacking === 0;
  }

  /** What this node, as another owner, gives to the member that asks. */
  async page(after: Uint8Array | null, known: Epoch, from: NodeId): Promise<RegisterPageReply> {
    const { knowledge, world } = this.#options;
    if (known > knowledge.epoch()) await knowledge.catchUp(known, world.clock.monotonic() + CALL_MS / 2);
    if (known > knowledge.epoch()) throw new Refusal(BEHIND, 'the epoch is not known here yet', knowledge.epoch());
    if (knowledge.refilling()) throw new Refusal(REFILLING, 'this node has lost its disk itself');
    const asker = presentMember(knowledge.ring(), from);
    // One that takes over counts this node only where it has been an owner before.
    if (asker?.state === 'refilling' && this.#lacksVotes())
      throw new Refusal(REFILLING, 'this node has not taken over all registers itself');
    const wanted = asker?.index;
    const rows: [Uint8Array, Uint8Array][] = [];
    const damaged: Uint8Array[] = [];
    let bytes = 0;
    let last = after;
    for (let looked = 0; looked < PAGE_ROWS_MAX && bytes < PAGE_BYTES; looked++) {
      const [found] = world.disk.range(REGISTERS, { ...(last === null ? {} : { from: successor(last) }), limit: 1 });
      if (found === undefined) return { rows, next: null, damaged };
      const [rowKey, row] = found;
      last = rowKey;
      if (wanted === undefined || !this.#owns(recordName(rowKey), wanted)) continue;
      if (this.#options.rows.isWholeOrTold(rowKey, row, 'it was asked for by a new owner')) rows.push([rowKey, row]);
      else damaged.push(rowKey);
      bytes += rowKey.length + row.length;
    }
    return { rows, next: last, damaged };
  }

  /** Takes over what that owner has of this node's partitions. */
  async takeOver(id: NodeId): Promise<TakenRegisters> {
    const { messaging, world, knowledge, rows } = this.#options;
    await this.#forgetFormer();
    const damaged: DamagedRegister[] = [];
    let after: Uint8Array | null = null;
    for (;;) {
      const deadline = world.clock.monotonic() + CALL_MS + transferTime(PAGE_BYTES);
      const request: RegisterPageRequest = { epoch: knowledge.epoch(), after };
      const result = await messaging.call(id, RegisterPageMessage, request, { deadline, channel: 'bulk' });
      if (result.kind === 'refused') return { kind: 'failed', reason: `${result.code}: ${result.detail}` };
      if (result.kind !== 'reply') return { kind: 'failed', reason: result.reason };
      const isMine = (rowKey: Uint8Array): boolean => this.#owns(recordName(rowKey), knowledge.self());
      await rows.mergeAll(
        result.reply.rows.filter(([rowKey]) => isMine(rowKey)),
        mergeRegisters,
      );
      for (const rowKey of result.reply.damaged.filter(isMine)) {
        const place = placeOfRow(knowledge, recordName(rowKey));
        if (place !== undefined) damaged.push({ rowKey, place });
      }
      after = result.reply.next;
      if (after === null) return { kind: 'taken', damaged };
    }
  }

  /** From now on these have no vote: what they should say nobody can say. */
  async giveUp(rowKeys: readonly Uint8Array[]): Promise<void> {
    await this.#options.rows.markDamaged(rowKeys);
  }

  /** Takes away what this node has of partitions that it owns no more, and whose new owners know all of it. */
  async letGo(): Promise<void> {
    await this.#remove((name) => this.#isOver(name, this.#options.knowledge.self()));
  }

  /**
   * Takes away what this node has of partitions that it is about to take over and had owned before: the others may have erased
   * it since. Once in each stage, and not what it has taken over in it.
   */
  async #forgetFormer(): Promise<void> {
    const { knowledge, world } = this.#options;
    const [ring, self] = [knowledge.ring(), knowledge.self()];
    const moving = movingEntries(ring);
    const fresh = moving.filter(
      ({ place, entry }) =>
        !this.#forgotten.has(entry.changedIn) &&
        !oldOwners(entry).includes(self) &&
        !knowsVotes(world.disk, ring, place, self),
    );
    if (fresh.length === 0) return;
    await this.#remove((name) => {
      const at = placeOfRow(knowledge, name);
      return fresh.some(({ place }) => place.n === at?.n && place.partition === at.partition);
    });
    for (const { entry } of fresh) this.#forgotten.add(entry.changedIn);
    for (const epoch of this.#forgotten) {
      if (!moving.some(({ entry }) => entry.changedIn === epoch)) this.#forgotten.delete(epoch);
    }
  }

  async #remove(isGone: (name: RecordName) => boolean): Promise<void> {
    const { world, replica } = this.#options;
    for (let from: Uint8Array | undefined = EMPTY_BYTES; from !== undefined;) {
      const page: Page = readPage(world.disk, REGISTERS, { from, limit: PAGE_ROWS_MAX });
      from = page.next;
      const gone = page.rows.filter(([rowKey]) => isGone(recordName(rowKey)));
      const run = (transaction: GroupTransaction): void => {
        for (const [rowKey] of gone) transaction.delete(REGISTERS, rowKey);
      };
      if (gone.length > 0) await replica.commits.submit({ run, bytes: 0, durable: true });
      else await new Promise<void>((resolve) => world.clock.defer(resolve));
    }
  }

  #isOver(name: RecordName, index: NodeIndex): boolean {
    const { knowledge } = this.#options;
    const place = placeOfRow(knowledge, name);
    const move = place === undefined ? undefined : ownersOf(knowledge.ring(), place.n, place.partition).move;
    return move?.stage === 'offload' && move.others.includes(index);
  }

  /** Whether this node is a new owner of a partition of which it does not know all that was chosen. */
  #lacksVotes(): boolean {
    const { knowledge, world } = this.#options;
    const self = knowledge.self();
    return movingEntries(knowledge.ring()).some(({ place }) => !knowsVotes(world.disk, knowledge.ring(), place, self));
  }

  #owns(name: RecordName, index: NodeIndex): boolean {
    const { knowledge } = this.#options;
    const place = placeOfRow(knowledge, name);
    return place !== undefined && ownersOf(knowledge.ring(), place.n, place.partition).owners.includes(index);
  }

  /** The own partitions of which too few other owners were asked; one that nobody else owns has lost what it had. */
  #placesLacking(): number {
    const { knowledge } = this.#options;
    const self = knowledge.self();
    const lacking = knowledge.ring().placements.map(
      ({ partitions }) =>
        partitions.filter(({ owners }) => {
          const others = owners.filter((owner) => owner !== self);
          const needed = Math.min(others.length, othersNeeded(owners.length));
          return owners.includes(self) && others.filter((owner) => this.#asked.has(owner)).length < needed;
        }).length,
    );
    return lacking.reduce((sum, count) => sum + count, 0);
  }

  #complain(partitionsLeft: number, reason: string): void {
    const { clock, log } = this.#options.world;
    if (clock.monotonic() < this.#complainedAt + COMPLAINT_MS) return;
    this.#complainedAt = clock.monotonic();
    log.warn('refill-blocked', { reason: `registers of strong keys: ${reason}`, partitionsLeft });
  }
}
