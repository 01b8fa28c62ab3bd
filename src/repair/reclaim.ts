/**
 * Giving tombstones up, by proof instead of a guess of days. The first owner of a partition that can be reached drives it:
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
 * Nothing is kept between attempts but the floors, so an attempt may end anywhere.
 */

import type { NodeId } from '#kernel/identity.ts';
import { timeOf } from '#causality/hybrid-clock.ts';
import type { Hash64 } from '#kernel/siphash.ts';
import { ownersOf } from '#ring/preference-list.ts';
import { haveSameMembers, type Member, type Ring } from '#ring/ring.ts';
import type { MessageType } from '#wire/message.ts';
import { Refusal } from '#wire/message.ts';
import type { Counter, Timer } from '#world/world.ts';
import type { DeadRows } from './dead-rows.ts';
import { isDead } from './dead-rows.ts';
import type { EndedVersions } from './ended.ts';
import { ConfirmEndedMessage, GiveUpEndedMessage, type EndedRow } from './ended-messages.ts';
import { ask, ExchangeFailed } from './exchange.ts';
import type { RowOnTheWire } from './exchange-messages.ts';
import {
  BATCH_MAX,
  ConfirmMessage,
  GiveUpMessage,
  PromiseMessage,
  ReclaimMessage,
  TimeMessage,
  type GiveUpRequest,
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
  readonly self: NodeId;
  readonly settings: ReclaimSettings;
}

export const BLOCKS = ['owner', 'member', 'hints', 'ring'] as const;
type Block = (typeof BLOCKS)[number];

interface Blocked {
  readonly block: Block;
  readonly text: string;
}

interface Batch {
  readonly place: TreePlace;
  readonly owners: readonly Member[];
  readonly changedIn: number;
  /** What the index names; what of that all owners agree on is in the two below. */
  readonly rowKeys: readonly Uint8Array[];
  rows: GiveUpRequest['rows'];
  ended: readonly EndedRow[];
}

/** Keys in one pass: bounds the memory that it takes. */
const PASS_MAX = 20_000;
/** Milliseconds by which the members' clocks may differ; it is waited for so long that all of them are past the floor. */
const APART_MAX_MS = 60_000;
const APART_SLACK_MS = 100;
const COMPLAINT_MS = 24 * 3_600_000;
const BLOCKED_LISTED_MAX = 256;

export class Reclaim {
  readonly #options: ReclaimOptions;
  readonly #given: Counter;
  /** What was in the way in the last pass, and what is in the present one. */
  #blocked: ReadonlyMap<string, Blocked> = new Map();
  #met = new Map<string, Blocked>();
  #blockedSince: number | undefined;
  #running = false;
  #total = 0;
  #timer: Timer | undefined;
  #stopped = true;

  constructor(options: ReclaimOptions) {
    this.#options = options;
    const { metrics } = options.world;
    const help = 'Tombstones that this node has given up, and keys of which it has given up what had expired';
    this.#given = metrics.counter('quoral_tombstones_reclaimed_total', help);
    for (const block of BLOCKS) {
      const help =
        'Partitions whose tombstones could not be given up in the last pass of this node, by what was in the way';
      const count = (): number => [...this.#blocked.values()].filter((one) => one.block === block).length;
      metrics.gauge('quoral_reclaim_blocked_partitions', help, count, { by: block });
    }
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
    const blocked = [...this.#blocked.values()].map(({ text }) => text).slice(0, BLOCKED_LISTED_MAX);
    return { running: this.#running, given: this.#total, blocked };
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
    this.#met = new Map();
    const ring = knowledge.ring();
    const members = ring.members.filter(({ state }) => state !== 'removed');
    const { batches, more } = this.#batches(ring);
    const confirmed: Batch[] = [];
    for (const batch of batches) {
      if (this.#ownersCan(batch) && this.#membersCan(batch, members) && (await this.#confirm(batch)))
        confirmed.push(batch);
    }
    const times = confirmed.length > 0 ? await this.#times(confirmed, members) : undefined;
    if (times !== undefined) {
      const { floor, apart } = times;
      const wait = Math.max(settings.reclaimWait, apart + APART_SLACK_MS);
      await new Promise<void>((resolve) => void world.clock.after(wait, resolve));
      const free = await this.#promised(confirmed, members, floor);
      for (const batch of free) {
        if (haveSameMembers(ring, knowledge.ring())) await this.#giveUp(batch, floor);
        else this.#note(batch.place, 'ring', 'the members have changed meanwhile');
      }
    }
    this.#blocked = this.#met;
    this.#tell();
    return more && this.#blocked.size === 0;
  }

  /** The dead rows of the partitions that this node drives. */
  #batches(ring: Ring): { readonly batches: readonly Batch[]; readonly more: boolean } {
    const { dead, world, self, messaging, settings, trees, knowledge } = this.#options;
    const batches: Batch[] = [];
    const before = world.clock.wall() - settings.reclaimAge;
    let count = 0;
    let more = false;
    for (const place of dead.places(world.disk)) {
      if (!ring.placements.some(({ n }) => n === place.n)) continue;
      const { owners: indexes, changedIn, move } = ownersOf(ring, place.n, place.partition);
      // Former owners may still have what the tombstones hide.
      if (move !== undefined) continue;
      const owners = indexes.flatMap((index) => ring.members.filter((member) => member.index === index));
      const driver = owners.find(({ id, state }) => state === 'active' && (id === self || messaging.reachable(id)));
      if (driver?.id !== self || !trees.ready()) continue;
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
      batches.push({ place, owners, changedIn, rowKeys, rows: [], ended: [] });
    }
    return { batches, more };
  }

  #ownersCan({ place, owners }: Batch): boolean {
    const unable = owners.find(({ id, state }) => state !== 'active' || !this.#reaches(id));
    if (unable === undefined) return true;
    const why = unable.state === 'active' ? 'cannot be reached' : `is ${unable.state}`;
    this.#note(place, 'owner', `owner ${unable.id} ${why}`);
    return false;
  }

  /** Anybody may keep a hint, or have something of the partition under way. */
  #membersCan({ place }: Batch, members: readonly Member[]): boolean {
    const unable = members.find(({ id }) => !this.#reaches(id));
    if (unable !== undefined) this.#note(place, 'member', `member ${unable.id} cannot be reached`);
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
        this.#failed(place, 'owner', `owner ${id}`, error);
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
    batches: readonly Batch[],
    members: readonly Member[],
  ): Promise<{ readonly floor: number; readonly apart: number } | undefined> {
    const { self, replica } = this.#options;
    const told = await Promise.all(
      members.map(async ({ id }) => {
        try {
          return { id, time: id === self ? replica.now() : await this.#ask(id, TimeMessage, null) };
        } catch (error) {
          for (const { place } of batches) this.#failed(place, 'member', `member ${id}`, error);
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
    for (const { place } of batches) this.#note(place, 'member', reason);
    return undefined;
  }

  /** The batches for whose partitions nothing from below the floor waits anywhere. */
  async #promised(batches: readonly Batch[], members: readonly Member[], floor: number): Promise<readonly Batch[]> {
    const places = batches.map(({ place }) => place);
    const blocked = new Set<Batch>();
    for (const { id } of members) {
      try {
        const lows = await this.#promiseOf(id, { floor, places });
        if (lows.length !== places.length) throw new ExchangeFailed('an answer for other partitions');
        for (const [i, batch] of batches.entries()) {
          const low = lows[i]!;
          if (low === 0 || low > floor) continue;
          blocked.add(batch);
          this.#note(batch.place, 'hints', `${id} keeps a hint from before`);
        }
      } catch (error) {
        for (const { place } of batches) this.#failed(place, 'member', `member ${id}`, error);
        return [];
      }
    }
    return batches.filter((batch) => !blocked.has(batch));
  }

  async #promiseOf(id: NodeId, request: { floor: number; places: readonly TreePlace[] }): Promise<readonly number[]> {
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
        this.#failed(place, 'owner', `owner ${id}`, error);
        return;
      }
    }
  }

  async #ask<Request, Reply>(id: NodeId, type: MessageType<Request, Reply>, request: Request): Promise<Reply> {
    return await ask(this.#options, id, type, request);
  }

  #failed(place: TreePlace, block: Block, who: string, error: unknown): void {
    const refusal = asRefusal(error);
    if (!(refusal instanceof ExchangeFailed) && !(refusal instanceof Refusal)) throw error;
    this.#note(place, block, `${who}: ${refusal.message}`);
  }

  #note({ n, partition }: TreePlace, block: Block, reason: string): void {
    const text = `n=${n} partition ${partition}: ${reason}`;
    this.#met.set(`${n}/${partition}`, { block, text });
  }

  /** Once when something begins to be in the way, and once a day as long as it is. */
  #tell(): void {
    const { world } = this.#options;
    const now = world.clock.monotonic();
    if (this.#blocked.size === 0) {
      this.#blockedSince = undefined;
      return;
    }
    const first = this.#blockedSince === undefined;
    const due = this.#blockedSince !== undefined && now - this.#blockedSince >= COMPLAINT_MS;
    if (!first && !due) return;
    this.#blockedSince = now;
    const [example] = this.#blocked.values();
    const fields = { partitions: this.#blocked.size, example: example?.text };
    world.log[due ? 'error' : 'warn']('reclaim-blocked', fields);
  }

  #chance(): number {
    return this.#options.world.random.uint32() / 2 ** 32;
  }
}
