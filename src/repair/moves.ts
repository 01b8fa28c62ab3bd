/**
 * This node's part in moving partitions. A new owner takes over what the old ones have; a former owner brings what it still has
 * to those that own the partition now, and lets go of it when all of them have it and nothing has changed meanwhile.
 *
 * Both are exchanges of Merkle trees, which go on wherever they ended, and that a partition is done is a row on the disk: it
 * holds for the epoch that began the stage and for this disk.
 */

import type { Epoch, NodeId, NodeIndex } from '#kernel/identity.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import { RECORDS, REGISTERS } from '#replica/tables.ts';
import { broughtTo, heardNeeded, isMoving, newOwners, oldOwners, stageMayEnd, takersOf } from '#ring/moving.ts';
import { ownersOf } from '#ring/preference-list.ts';
import type { PartitionOwners, Ring } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';
import { Looks } from '#world/looks.ts';
import { PAGE_BYTES } from '#world/pages.ts';
import type { Counter } from '#world/world.ts';
import { exchangesAtOnce } from './at-once.ts';
import { exchange, ExchangeFailed, type ExchangeEnvironment } from './exchange.ts';
import type { ClockBehind } from './lost-floors.ts';
import { takeRetries } from './take-retries.ts';
import { MovesMessage, type MovesReply, type PlaceDone } from './moves-message.ts';
import { isNoted, movingEntries, noting } from './moved-rows.ts';
import { ALL_LEAVES, type TreePlace } from './tree-tables.ts';

const PAGE_ROWS = 128;
/** A newcomer that waits for less long need not say so. */
const CLOCKS_TOLD_MS = 1000;

export interface MovesSettings {
  /** Milliseconds between two looks at what there is to do, when not all could be done at the last. */
  readonly lookInterval: number;
  /** Partitions that a node takes over or gives away at once, where round trips are short. */
  readonly atOnce: number;
  /** Milliseconds that members are given to install an epoch before they are asked again. */
  readonly installTimeout: number;
  /** Milliseconds without any partition done after which it is told. */
  readonly stallAlarm: number;
}

export interface MovesOptions extends ExchangeEnvironment {
  readonly self: NodeId;
  readonly storageId: string;
  readonly ready: () => boolean;
  /** The ring, when this node knows one. */
  readonly knownRing: () => Ring | undefined;
  /** Whether this node keeps hints for others that may be the only copies of writes. */
  readonly keepsOnlyCopies: () => boolean;
  /** Has this node know what is too old to be taken; false when nobody could say. */
  readonly learnFloors: () => Promise<boolean>;
  /** Undefined when that is past for all members that can be asked. */
  readonly floorsBehind: () => Promise<ClockBehind | undefined>;
  /** Asks all members to install an epoch, and returns those that have not by the deadline. */
  readonly awaitInstalled: (wanted: Epoch, deadline: number) => Promise<readonly NodeId[]>;
  /** Takes away the registers of strong keys in partitions that this node owns no more. */
  readonly letRegistersGo: () => Promise<void>;
  readonly settings: MovesSettings;
}

interface Task {
  readonly place: TreePlace;
  readonly entry: PartitionOwners;
  readonly kind: 'take' | 'bring';
}

export class Moves {
  readonly #options: MovesOptions;
  readonly #taken: Counter;
  readonly #brought: Counter;
  readonly #looks: Looks;
  #left = 0;
  /** What could not be done when it was tried last. */
  readonly #vain = new Set<string>();
  /** Whether that happened in this look. */
  #hasFailed = false;
  /** When a partition was last done, or the first was there to do; undefined while there is none. */
  #progressAt: number | undefined;
  /** Why something could not be done, last. */
  #trouble = '';
  /** The change for which this newcomer has learned what is too old. */
  #floorsFor: string | undefined;
  #floorsPassed = false;
  /** Why they are not passed, when that takes long. */
  #waiting: ClockBehind | undefined;
  /** The change for which it was told that this newcomer waits for clocks. */
  #toldClocks: string | undefined;
  /** In one walk for all partitions that this node owns no more in that epoch. */
  #registersGone: { readonly since: Epoch; readonly done: Promise<void> } | undefined;

  /** Registers its handler. */
  constructor(options: MovesOptions) {
    this.#options = options;
    options.messaging.handle(MovesMessage, () => {
      // A newcomer that a plan has just named may know of no ring yet.
      if (!options.ready()) throw new Refusal('not-ready', 'this node does not serve yet');
      return this.report();
    });
    const help = 'Partitions that this node takes over or gives away now';
    const { metrics } = options.world;
    metrics.gauge('quoral_moving_partitions', help, () => this.#left);
    const keys = (direction: string): Counter =>
      metrics.counter('quoral_moved_keys_total', 'States that a ring change brought to or from this node', {
        direction,
      });
    this.#taken = keys('taken');
    this.#brought = keys('brought');
    this.#looks = new Looks({
      clock: options.world.clock,
      interval: options.settings.lookInterval,
      wanted: () => {
        const ring = options.knownRing();
        return ring !== undefined && isMoving(ring);
      },
      look: () => this.#look(),
      failed: (error) => options.world.log.warn('move-failed', { reason: String(error) }),
    });
  }

  start(): void {
    this.#looks.start();
  }

  stop(): void {
    this.#looks.stop();
  }

  /** To be called when the facts have changed: while nothing moves, there are no looks. */
  wake(): void {
    this.#looks.wake();
  }

  /** What this node is done with. */
  report(): MovesReply {
    const { knowledge, storageId, ready, keepsOnlyCopies, world } = this.#options;
    const self = knowledge.self();
    const begun = movingEntries(knowledge.ring()).filter(({ entry }) => entry.move!.stage !== 'planned');
    const [done, triedInVain]: [PlaceDone[], PlaceDone[]] = [[], []];
    for (const { place, entry } of begun) {
      if (!isPartOf(entry, self)) continue;
      const { changedIn } = entry;
      if (isNoted(world.disk, place, entry)) done.push({ ...place, changedIn });
      else if (this.#vain.has(nameOf({ place, entry }))) triedInVain.push({ ...place, changedIn });
    }
    const empty = [RECORDS, REGISTERS].every((table) => world.disk.range(table, { limit: 1 }).length === 0);
    const stores = world.disk.failure() === undefined;
    const knowsFloors = this.#knowsFloors();
    return {
      storageId,
      ready: ready() && stores && knowsFloors,
      keepsOnlyCopies: keepsOnlyCopies(),
      empty,
      done,
      triedInVain,
      waiting: knowsFloors ? null : (this.#waiting ?? null),
      stores,
    };
  }

  async #look(): Promise<void> {
    const { ready, trees, knowledge } = this.#options;
    for (let known: Epoch | undefined; ready() && trees.ready() && known !== knowledge.epoch();) {
      if (knowledge.ring().change?.state === 'paused' || this.#looks.stopped) return;
      known = knowledge.epoch();
      this.#hasFailed = false;
      await this.#work();
      if (this.#hasFailed) return;
    }
  }

  /**
   * A member that a change brings has promised nothing about what is too old. It asks when it is a member, once for each
   * change: before it takes any write.
   */
  #knowsFloors(): boolean {
    const { knowledge } = this.#options;
    const { change } = knowledge.ring();
    if (change === undefined || !change.comes.includes(knowledge.self())) return true;
    return this.#floorsFor === change.id && this.#floorsPassed;
  }

  async #work(): Promise<void> {
    const { messaging, knowledge, learnFloors, pace, settings } = this.#options;
    if (!this.#knowsFloors()) {
      const { id } = knowledge.ring().change!;
      if (this.#floorsFor !== id && (await learnFloors())) this.#floorsFor = id;
      if (this.#floorsFor === id) await this.#lookAtClocks(id);
    }
    this.#registersGone = undefined;
    const installed = new Map<Epoch, Promise<readonly NodeId[]>>();
    const tasks = this.#untried();
    pace.begin();
    const length = exchangesAtOnce(messaging, knowledge.ring(), settings.atOnce);
    const workers = Array.from({ length }, async () => {
      for (const task of tasks) if (!(await this.#do(task, installed))) return;
    });
    await Promise.all(workers);
  }

  /** All that there is to do, each once; what comes meanwhile too, unless something failed, for then it is time for a pause. */
  *#untried(): Generator<Task> {
    const tried = new Set<string>();
    for (;;) {
      const tasks = this.#tasks();
      const names = new Set(tasks.map(nameOf));
      for (const name of this.#vain.keys()) if (!names.has(name)) this.#vain.delete(name);
      this.#left = tasks.length;
      this.#lookForStall();
      const untried = tasks.filter((task) => !tried.has(nameOf(task)));
      if (untried.length === 0 || this.#hasFailed) return;
      for (const task of untried) {
        tried.add(nameOf(task));
        yield task;
      }
    }
  }

  /** A member below whose time this newcomer takes nothing would write in vain: it waits, and says so if it takes long. */
  async #lookAtClocks(id: string): Promise<void> {
    const behind = await this.#options.floorsBehind();
    this.#floorsPassed = behind === undefined;
    this.#waiting = behind !== undefined && behind.milliseconds >= CLOCKS_TOLD_MS ? behind : undefined;
    if (this.#waiting === undefined || this.#toldClocks === id) return;
    this.#toldClocks = id;
    this.#options.world.log.warn('newcomer-waits', { id, ...this.#waiting });
  }

  /** False when nothing more is to be done now. */
  async #do(task: Task, installed: Map<Epoch, Promise<readonly NodeId[]>>): Promise<boolean> {
    const { world, awaitInstalled, knowledge, settings } = this.#options;
    const { entry, place } = task;
    if (this.#looks.stopped || knowledge.ring().change?.state === 'paused') return false;
    let missing = installed.get(entry.changedIn);
    if (missing === undefined) {
      missing = awaitInstalled(entry.changedIn, world.clock.monotonic() + settings.installTimeout);
      installed.set(entry.changedIn, missing);
    }
    if (!this.#mayBegin(task, new Set(await missing))) {
      this.#trouble = `epoch ${entry.changedIn} is not installed by ${(await missing).join(', ')}`;
      return this.#failed(task);
    }
    if (!(task.kind === 'take' ? await this.#take(task) : await this.#bring(task))) return this.#failed(task);
    await this.#note(place, entry);
    this.#left -= 1;
    this.#progressAt = world.clock.monotonic();
    return true;
  }

  /** It is tried again at the next look, and the others go on meanwhile. */
  #failed(task: Task): true {
    this.#vain.add(nameOf(task));
    this.#hasFailed = true;
    return true;
  }

  /** Tells, once for each time that the limit has passed, that no partition has come to its end. */
  #lookForStall(): void {
    const { world, settings } = this.#options;
    const now = world.clock.monotonic();
    if (this.#left === 0 || this.#progressAt === undefined) {
      this.#progressAt = this.#left === 0 ? undefined : now;
    } else if (now - this.#progressAt > settings.stallAlarm) {
      world.log.warn('transfer-stalled', { partitions: this.#left, reason: this.#trouble });
      this.#progressAt = now;
    }
  }

  #tasks(): readonly Task[] {
    const { knowledge } = this.#options;
    const self = knowledge.self();
    return movingEntries(knowledge.ring()).flatMap(({ place, entry }): Task[] => {
      const { stage } = entry.move!;
      const takes = stage === 'dual' && takersOf(entry).includes(self);
      const brings = stage === 'offload' && entry.move!.others.includes(self);
      if ((!takes && !brings) || isNoted(this.#options.world.disk, place, entry)) return [];
      return [{ place, entry, kind: takes ? 'take' : 'bring' }];
    });
  }

  /** Not before all that can be reached know of the stage: what was acknowledged by older rules is somewhere by then. */
  #mayBegin({ entry }: Task, missing: ReadonlySet<NodeId>): boolean {
    const { knowledge, messaging, self } = this.#options;
    const { members } = knowledge.ring();
    const nameOf = (index: NodeIndex): NodeId => members.find((member) => member.index === index)!.id;
    const reachable = (id: NodeId): boolean => id === self || messaging.reachable(id);
    return stageMayEnd(entry, (index) =>
      missing.has(nameOf(index)) ? (reachable(nameOf(index)) ? 'behind' : 'away') : 'installed',
    );
  }

  /** Takes over all that the old owners that can be reached have: a majority of them at the least. */
  async #take({ place, entry }: Task): Promise<boolean> {
    const { messaging, knowledge } = this.#options;
    const old = oldOwners(entry);
    const others = old.filter((index) => index !== knowledge.self());
    // One that has lost its disk has nothing of its own.
    let merged = knowledge.refilling() ? 0 : old.length - others.length;
    // Those that leave first: each has all that one of the new owners needs.
    const leavers = old.filter((index) => !newOwners(entry).includes(index));
    for (const index of new Set([...leavers, ...others])) {
      const member = knowledge.ring().members.find((one) => one.index === index);
      if (member === undefined || !messaging.reachable(member.id)) continue;
      if (member.state === 'refilling') continue;
      if (!(await this.#merge(member.id, place, 'both'))) return false;
      merged += 1;
    }
    return this.#isEnough(place, merged, heardNeeded(old), 'old');
  }

  /**
   * Lets go of the rows when all owners that can be reached have them, a majority at least, unless something has changed meanwhile.
   * Whoever is away gets them from those, and one that is dead would be waited for in vain.
   */
  async #bring({ place, entry }: Task): Promise<boolean> {
    const { messaging, knowledge, trees } = this.#options;
    const before = trees.root(place);
    let brought = 0;
    for (const index of entry.owners) {
      const member = knowledge.ring().members.find((one) => one.index === index);
      if (member === undefined || !messaging.reachable(member.id)) continue;
      if (!(await this.#merge(member.id, place, 'push'))) return false;
      brought += 1;
    }
    const lost = new Set(knowledge.ring().change?.lost);
    if (!this.#isEnough(place, brought, broughtTo(entry, lost), 'new')) return false;
    const after = trees.root(place);
    if (before.high !== after.high || before.low !== after.low) return false;
    if (!(await this.#letGo(place, entry))) return false;
    // All new owners vote, so that what this node knows of strong keys is of no use to anybody.
    const since = knowledge.epoch();
    if (this.#registersGone?.since !== since) this.#registersGone = { since, done: this.#options.letRegistersGo() };
    await this.#registersGone.done;
    return true;
  }

  #isEnough({ n, partition }: TreePlace, count: number, needed: number, which: 'old' | 'new'): boolean {
    if (count >= needed) return true;
    this.#trouble = `n=${n} partition ${partition}: ${count} of the ${needed} ${which} owners that it takes could be asked`;
    return false;
  }

  async #merge(peer: NodeId, place: TreePlace, direction: 'both' | 'push'): Promise<boolean> {
    const { n, partition } = place;
    try {
      const options = { settle: 0, keysMax: Infinity, vouch: true, direction };
      const { complete, refused, pulled, pushed } = await exchange(this.#options, peer, place, options);
      this.#taken.add(pulled);
      this.#brought.add(pushed);
      if (complete && refused === 0) {
        if (direction === 'both') await takeRetries(this.#options, peer, place);
        return true;
      }
      this.#trouble = `n=${n} partition ${partition}: ${refused} states were not taken by ${peer} or here`;
    } catch (error) {
      if (!(error instanceof ExchangeFailed)) throw error;
      this.#trouble = `n=${n} partition ${partition}: ${peer}: ${error.message}`;
    }
    return false;
  }

  /** False when it has become an owner again meanwhile: what it has then is its own. */
  async #letGo(place: TreePlace, entry: PartitionOwners): Promise<boolean> {
    const { trees, world, replica, pace, knowledge } = this.#options;
    const isOver = (): boolean => ownersOf(knowledge.ring(), place.n, place.partition).changedIn !== entry.changedIn;
    for (;;) {
      const page = trees.index.entries(world.disk, place, ALL_LEAVES, PAGE_ROWS);
      if (page.length === 0) return !isOver();
      let bytes = 0;
      const run = (transaction: GroupTransaction): void => {
        for (let at = 0; !isOver() && at < page.length && bytes < PAGE_BYTES; at++) {
          const { rowKey } = page[at]!;
          const row = transaction.get(RECORDS, rowKey);
          bytes += rowKey.length + (row?.length ?? 0);
          if (row !== undefined) replica.records.drop(transaction, rowKey, row, place);
          else trees.recheck(transaction, place, rowKey);
        }
      };
      await replica.commits.submit({ run, bytes: 0, durable: true });
      if (isOver()) return false;
      await pace.take(bytes);
    }
  }

  /** The states are on stable storage, and so is this before anybody is told. */
  async #note(place: TreePlace, entry: PartitionOwners): Promise<void> {
    const { world, replica, knowledge } = this.#options;
    const run = noting(world.disk, knowledge.ring(), [{ place, entry }]);
    await replica.commits.submit({ run, bytes: 0, durable: true });
  }
}

/** Of one stage of a partition. */
function nameOf({ place, entry }: Pick<Task, 'place' | 'entry'>): string {
  return `${place.n}/${place.partition}/${entry.changedIn}`;
}

function isPartOf(entry: PartitionOwners, index: NodeIndex): boolean {
  return takersOf(entry).includes(index) || entry.move!.others.includes(index);
}
