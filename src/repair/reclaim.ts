/**
 * Giving up tombstones, and what vectors say of actors that are gone (compaction.ts), by proof instead of a guess of days. The first owner of a partition that can be reached drives it:
 *
 * 1. Confirm: all owners have the same dead state. A row that one of them lacks is given to it. Of versions that have ended
 *    beside others that live: no owner knows of a later end (ended.ts).
 * 2. Ask every member for its time: the highest is the floor. Whatever any of them read or made before its answer has an
 *    origin below the floor; whatever is read later, is read where all owners have the tombstone already.
 * 3. Wait, so that what is on its way arrives, and so that clocks that are behind come past the floor. Are they too far apart
 *    for that, the attempt ends.
 * 4. Promise: every member puts the floor on its disk and from then on takes nothing from below it; then it says how old the
 *    oldest hint is that it keeps, or has kept since it told its time: of one that went home a second copy may be on its way.
 *    One from below the floor, or a member that cannot be asked, ends the attempt.
 * 5. Give up: each owner takes away the rows that are still what was confirmed, and the versions. One that fails has its tombstone left, which
 *    comes to the others again and is given up another time.
 *
 * Rows with long vectors are compacted then, too. Nothing is kept between attempts but the floors, so an attempt may end anywhere.
 */

import { nodeIndex, type NodeId } from '#kernel/identity.ts';
import { timeOf } from '#causality/hybrid-clock.ts';
import type { Hash64 } from '#kernel/siphash.ts';
import { haveSameMembers, type Member, type Ring } from '#ring/ring.ts';
import type { MessageType } from '#wire/message.ts';
import { Refusal } from '#wire/message.ts';
import type { Counter, Timer } from '#world/world.ts';
import { Compaction, type LongRows } from './compaction.ts';
import type { DeadRows } from './dead-rows.ts';
import { isDead } from './dead-rows.ts';
import type { EndedVersions } from './ended.ts';
import { ConfirmEndedMessage, GiveUpEndedMessage, type EndedRow } from './ended-messages.ts';
import { ask, ExchangeFailed } from './exchange.ts';
import type { RowOnTheWire } from './exchange-messages.ts';
import type { LongVectors } from './long-vectors.ts';
import { ReclaimBlocks } from './reclaim-blocks.ts';
import { drivenHere, type Driven } from './reclaim-owner.ts';
import {
  BATCH_MAX,
  ConfirmMessage,
  GiveUpMessage,
  PromiseMessage,
  ReclaimMessage,
  TimeMessage,
  type GiveUpRequest,
  type PromiseReply,
  type ReclaimProgress,
} from './reclaim-messages.ts';
import type { ReclaimMember, ReclaimMemberOptions } from './reclaim-member.ts';
import { recordName } from '#replica/tables.ts';
import { asRefusal } from '#replica/refusals.ts';
import { PAGE_BYTES } from './tree-source.ts';
import type { TreePlace } from './tree-tables.ts';

export interface ReclaimSettings {
  /** Milliseconds between two passes. */
  readonly reclaimInterval: number;
  /** Milliseconds that a key must have been dead. */
  readonly reclaimAge: number;
  /** Milliseconds that messages are given to arrive. */
  readonly reclaimWait: number;
}

export interface ReclaimOptions extends ReclaimMemberOptions {
  readonly member: ReclaimMember;
  readonly ended: EndedVersions;
  readonly dead: DeadRows;
  readonly long: LongVectors;
  readonly self: NodeId;
  readonly settings: ReclaimSettings;
}

interface Batch extends Driven {
  /** What the index names; what of that all owners agree on is in the two below. */
  readonly rowKeys: readonly Uint8Array[];
  rows: GiveUpRequest['rows'];
  ended: readonly EndedRow[];
}

interface Promised {
  readonly floor: number;
  /** That the members knew when they had promised. */
  readonly epochs: readonly (number | undefined)[];
}

/** Keys in one pass: bounds the memory that it takes. */
const PASS_MAX = 20_000;
/** Milliseconds by which the members' clocks may differ; it is waited for so long that all of them are past the floor. */
const APART_MAX_MS = 60_000;
const APART_SLACK_MS = 100;

export class Reclaim {
  readonly #options: ReclaimOptions;
  readonly #given: Counter;
  readonly #blocks: ReclaimBlocks;
  readonly #compaction: Compaction;
  #running = false;
  #total = 0;
  #timer: Timer | undefined;
  #stopped = true;

  constructor(options: ReclaimOptions) {
    this.#options = options;
    const { metrics } = options.world;
    this.#blocks = new ReclaimBlocks(options.world);
    this.#compaction = new Compaction(options);
    const help = 'Tombstones that this node has given up, and keys of which it has given up what had expired';
    this.#given = metrics.counter('quoral_tombstones_reclaimed_total', help);
    options.messaging.handle(ReclaimMessage, (begin) => this.run(begin === 1));
  }

  start(): void {
    this.#stopped = false;
    this.#later(this.#options.settings.reclaimInterval * this.#chance());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** How far the pass is that is under way, or how the last one has ended; `begin` begins one if none is. */
  run(begin: boolean): ReclaimProgress {
    if (begin && !this.#running) void this.#turn();
    return { running: this.#running, given: this.#total, blocked: this.#blocks.texts() };
  }

  #later(delay: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.world.clock.after(delay, () => void this.#turn());
  }

  async #turn(): Promise<void> {
    if (this.#stopped || this.#running) return;
    const { ready, settings, world } = this.#options;
    this.#running = true;
    let more = false;
    try {
      if (ready()) more = await this.#pass();
    } catch (error) {
      const expected = asRefusal(error) instanceof Refusal || error instanceof ExchangeFailed;
      world.log[expected ? 'debug' : 'error']('reclaim-failed', { reason: String(error) });
    }
    this.#running = false;
    if (!this.#stopped) this.#later(more ? settings.reclaimWait : settings.reclaimInterval * (0.5 + this.#chance()));
  }

  /** True when there was more than goes into one pass. */
  async #pass(): Promise<boolean> {
    const { world, knowledge, settings } = this.#options;
    this.#blocks.passBegins();
    const ring = knowledge.ring();
    const members = ring.members.filter(({ state }) => state !== 'removed');
    const { batches, more } = this.#batches(ring);
    const can = (driven: Driven): boolean => this.#ownersCan(driven) && this.#membersCan(driven, members);
    const confirmed: Batch[] = [];
    for (const batch of batches) if (can(batch) && (await this.#confirm(batch))) confirmed.push(batch);
    const long = this.#longRows(ring);
    const all = [...confirmed, ...long.rows.filter(can)];
    const times = all.length > 0 ? await this.#times(all, members) : undefined;
    if (times !== undefined) {
      const { floor, apart } = times;
      const wait = Math.max(settings.reclaimWait, apart + APART_SLACK_MS);
      await new Promise<void>((resolve) => void world.clock.after(wait, resolve));
      const { free, epochs } = await this.#promised(all, members, floor);
      const isFree = (driven: Driven): boolean => free.includes(driven) && this.#sameMembers(driven, ring);
      for (const batch of confirmed) if (isFree(batch)) await this.#giveUp(batch, floor);
      for (const rows of long.rows) if (isFree(rows)) await this.#compact(rows, ring, { floor, epochs });
    }
    return this.#blocks.passEnds() && (more || long.more);
  }

  #sameMembers({ place }: Driven, ring: Ring): boolean {
    const same = haveSameMembers(ring, this.#options.knowledge.ring());
    if (!same) this.#blocks.note(place, 'ring', 'the members have changed meanwhile');
    return same;
  }

  async #compact(long: LongRows, { members }: Ring, { floor, epochs }: Promised): Promise<void> {
    const { place } = long;
    if (!epochs.every((epoch) => epoch === this.#options.knowledge.epoch())) {
      this.#blocks.note(place, 'ring', 'not all members know the same epoch, or have the program to tell');
      return;
    }
    const last = nodeIndex(Math.max(...members.map(({ index }) => index)));
    await this.#compaction.run(long, { last, time: floor }, (id, error) => {
      this.#blocks.failed(place, 'owner', `owner ${id}`, error);
    });
  }

  /** The dead rows of the partitions that this node drives. */
  #batches(ring: Ring): { readonly batches: readonly Batch[]; readonly more: boolean } {
    const { dead, world, settings, knowledge } = this.#options;
    const batches: Batch[] = [];
    const before = world.clock.wall() - settings.reclaimAge;
    let count = 0;
    let more = false;
    for (const place of dead.places(world.disk)) {
      const driven = drivenHere(this.#options, ring, place);
      if (driven === undefined) continue;
      const rowKeys = dead
        .of(world.disk, place, BATCH_MAX)
        .filter(({ since, rowKey }) => {
          const { bucket, incarnation } = recordName(rowKey);
          return timeOf(since) <= before && knowledge.bucket(bucket).incarnation === incarnation;
        })
        .map(({ rowKey }) => rowKey);
      if (rowKeys.length === 0) continue;
      if (rowKeys.length === BATCH_MAX) more = true;
      count += rowKeys.length;
      if (count > PASS_MAX) return { batches, more: true };
      batches.push({ ...driven, rowKeys, rows: [], ended: [] });
    }
    return { batches, more };
  }

  /** The rows with long vectors of the partitions that this node drives. */
  #longRows(ring: Ring): { readonly rows: readonly LongRows[]; readonly more: boolean } {
    const { long, world, knowledge } = this.#options;
    const rows: LongRows[] = [];
    let count = 0;
    for (const place of long.places(world.disk)) {
      const driven = drivenHere(this.#options, ring, place);
      if (driven === undefined) continue;
      const rowKeys = long.of(world.disk, place, BATCH_MAX).filter((rowKey) => {
        const { bucket, incarnation } = recordName(rowKey);
        return knowledge.bucket(bucket).incarnation === incarnation;
      });
      if (rowKeys.length === 0) continue;
      count += rowKeys.length;
      if (count > PASS_MAX) return { rows, more: true };
      rows.push({ ...driven, rowKeys });
    }
    return { rows, more: rows.some(({ rowKeys }) => rowKeys.length === BATCH_MAX) };
  }

  #ownersCan({ place, owners }: Driven): boolean {
    const unable = owners.find(({ id, state }) => state !== 'active' || !this.#reaches(id));
    if (unable === undefined) return true;
    const why = unable.state === 'active' ? 'cannot be reached' : `is ${unable.state}`;
    this.#blocks.note(place, 'owner', `owner ${unable.id} ${why}`);
    return false;
  }

  /** Anybody may keep a hint, or have something of the partition under way. */
  #membersCan({ place }: Driven, members: readonly Member[]): boolean {
    const unable = members.find(({ id }) => !this.#reaches(id));
    if (unable !== undefined) this.#blocks.note(place, 'member', `member ${unable.id} cannot be reached`);
    return unable === undefined;
  }

  #reaches(id: NodeId): boolean {
    return id === this.#options.self || this.#options.messaging.reachable(id);
  }

  /** Puts into the batch what every owner agrees on; false when that is nothing. */
  async #confirm(batch: Batch): Promise<boolean> {
    const { replica, member, ended, settings } = this.#options;
    const { place, changedIn, rowKeys } = batch;
    const origin = replica.now();
    const dead = await this.#agreed(batch, this.#read(batch), (id, rows) => {
      const request = { place, changedIn, origin, rows: rows.map(({ wire }) => wire) };
      return id === this.#options.self ? member.confirm(request) : this.#ask(id, ConfirmMessage, request);
    });
    batch.rows = dead.map(({ rowKey, hash }) => ({ rowKey, hash }));
    batch.ended = await this.#agreed(batch, ended.of(place, rowKeys, settings.reclaimAge), (id, rows) => {
      const request = { place, changedIn, rows };
      return id === this.#options.self ? ended.confirm(request) : this.#ask(id, ConfirmEndedMessage, request);
    });
    return batch.rows.length > 0 || batch.ended.length > 0;
  }

  /** Those that each owner in turn leaves of them. */
  async #agreed<Row>(
    { place, owners }: Batch,
    rows: readonly Row[],
    confirm: (owner: NodeId, rows: readonly Row[]) => Promise<readonly number[]>,
  ): Promise<readonly Row[]> {
    let agreed = rows;
    for (const { id } of owners) {
      if (agreed.length === 0) break;
      try {
        const places = await confirm(id, agreed);
        agreed = places.flatMap((i) => agreed[i] ?? []);
      } catch (error) {
        this.#blocks.failed(place, 'owner', `owner ${id}`, error);
        return [];
      }
    }
    return agreed;
  }

  #read({ place, rowKeys }: Batch): readonly { rowKey: Uint8Array; hash: Hash64; wire: RowOnTheWire }[] {
    const { replica, trees } = this.#options;
    let bytes = 0;
    return rowKeys.flatMap((rowKey) => {
      const { key, ...life } = recordName(rowKey);
      if (replica.damaged.has({ ...place, ...life }, key)) return [];
      const row = replica.record({ ...place, ...life }, key);
      if (row === undefined || !isDead(row.state) || bytes > PAGE_BYTES) return [];
      bytes += rowKey.length + row.encoded.length;
      const hash = trees.hash.stateHash(trees.hash.keyHash(rowKey), row.state);
      return [{ rowKey, hash, wire: [rowKey, row.encoded, []] as const }];
    });
  }

  /**
   * A time that no operation has as its origin which any member began before this is known, and by how many milliseconds the
   * members' clocks are apart. Undefined when that is too much: until the others' clocks are past the floor, nobody would
   * take what they write.
   */
  async #times(
    batches: readonly Driven[],
    members: readonly Member[],
  ): Promise<{ readonly floor: number; readonly apart: number } | undefined> {
    const { self, replica } = this.#options;
    const told = await Promise.all(
      members.map(async ({ id }) => {
        try {
          return { id, time: id === self ? replica.now() : await this.#ask(id, TimeMessage, null) };
        } catch (error) {
          for (const { place } of batches) this.#blocks.failed(place, 'member', `member ${id}`, error);
          return undefined;
        }
      }),
    );
    const times = told.filter((one) => one !== undefined).toSorted((a, b) => a.time - b.time);
    if (times.length < members.length) return undefined;
    const [first, last] = [times[0]!, times.at(-1)!];
    const apart = timeOf(last.time) - timeOf(first.time);
    if (apart <= APART_MAX_MS) return { floor: last.time, apart };
    const reason = `the clock of ${last.id} is ahead of that of ${first.id} by ${apart} ms`;
    for (const { place } of batches) this.#blocks.note(place, 'member', reason);
    return undefined;
  }

  /** Those for whose partitions nothing from below the floor waits anywhere, and the epochs that the members know. */
  async #promised(
    batches: readonly Driven[],
    members: readonly Member[],
    floor: number,
  ): Promise<{ readonly free: readonly Driven[]; readonly epochs: Promised['epochs'] }> {
    const places = batches.map(({ place }) => place);
    const blocked = new Set<Driven>();
    const epochs: (number | undefined)[] = [];
    for (const { id } of members) {
      try {
        const { lows, epoch } = await this.#promiseOf(id, { floor, places });
        if (lows.length !== places.length) throw new ExchangeFailed('an answer for other partitions');
        epochs.push(epoch);
        for (const [i, batch] of batches.entries()) {
          const low = lows[i]!;
          if (low === 0 || low > floor) continue;
          blocked.add(batch);
          this.#blocks.note(batch.place, 'hints', `${id} keeps a hint from before`);
        }
      } catch (error) {
        for (const { place } of batches) this.#blocks.failed(place, 'member', `member ${id}`, error);
        return { free: [], epochs };
      }
    }
    return { free: batches.filter((batch) => !blocked.has(batch)), epochs };
  }

  async #promiseOf(id: NodeId, request: { floor: number; places: readonly TreePlace[] }): Promise<PromiseReply> {
    const { self, member } = this.#options;
    return id === self ? await member.promise(request) : await this.#ask(id, PromiseMessage, request);
  }

  async #giveUp({ place, owners, changedIn, rows, ended }: Batch, floor: number): Promise<void> {
    const { self, member, ended: here } = this.#options;
    const dead = { place, changedIn, floor, rows };
    const over = { place, changedIn, floor, rows: ended };
    // This node last: as long as it has the rows, it will try again.
    const order = [...owners.filter(({ id }) => id !== self), ...owners.filter(({ id }) => id === self)];
    for (const { id } of order) {
      try {
        if (rows.length > 0 && id !== self) await this.#ask(id, GiveUpMessage, dead);
        if (ended.length > 0 && id !== self) await this.#ask(id, GiveUpEndedMessage, over);
        if (id !== self) continue;
        const count = (await member.giveUp(dead)) + (await here.giveUp(over));
        this.#given.add(count);
        this.#total += count;
      } catch (error) {
        this.#blocks.failed(place, 'owner', `owner ${id}`, error);
        return;
      }
    }
  }

  async #ask<Request, Reply>(id: NodeId, type: MessageType<Request, Reply>, request: Request): Promise<Reply> {
    return await ask(this.#options, id, type, request);
  }

  #chance(): number {
    return this.#options.world.random.uint32() / 2 ** 32;
  }
}
