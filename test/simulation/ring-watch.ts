/**
 * The promise of ring changes, looked at from inside after every single event: whoever may answer strict reads of a partition
 * by the rules that some node goes by now, too few of them to make up a quorum lack any write that was strictly acknowledged.
 * And an owner takes no row away that may still be read, nor a node that brings its rows to the owners.
 *
 * It costs little: a write is looked at when it is acknowledged, when a row of its key has changed, and when some node has
 * learnt of another epoch. Nothing else can break the promise.
 */

import { covers, joinVectors } from '#causality/vector.ts';
import { decodeState } from '#causality/state-codec.ts';
import { EMPTY_VECTOR, type State, type VersionVector } from '#causality/state.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import { writersOf } from '#ring/moving.ts';
import { DAMAGED, RECORDS, recordName } from '#replica/tables.ts';
import { fromUtf8 } from '#kernel/bytes.ts';
import { digest } from '#world/digest.ts';
import type { Machine, SimulatedCluster } from './cluster.ts';
import type { Dot, WriteId } from './history.ts';
import { RingViews, type Place, type View } from './ring-views.ts';

type CausalDot = VersionVector[number];

interface Acknowledged {
  readonly write: WriteId;
  /** Of a request that was sent again there may be two. */
  readonly dots: readonly CausalDot[];
}

interface Row {
  readonly vector: VersionVector;
  readonly hasValues: boolean;
}

interface Tracked {
  readonly name: string;
  readonly rowKey: Uint8Array;
  readonly place: Place;
  /** Of each actor the last write that it minted: whoever knows that knows those before it. */
  readonly acknowledged: Map<string, Acknowledged>;
  readonly rows: Map<Machine, Row>;
  /** What some owner has given up the tombstone of: all owners have had it. */
  reclaimed: VersionVector;
}

const NO_ROW: Row = { vector: EMPTY_VECTOR, hasValues: false };

export class RingWatch {
  readonly #cluster: SimulatedCluster;
  readonly #found: (key: string, detail: string) => void;
  readonly #views: RingViews;
  readonly #tracked = new Map<string, Tracked>();
  readonly #touched = new Map<Tracked, Set<Machine>>();
  readonly #watched = new Set<Machine>();
  readonly #told = new Set<string>();
  /** Machines whose disks were lost and that are not filled again. */
  readonly #lost = new Set<Machine>();

  constructor(cluster: SimulatedCluster, found: (key: string, detail: string) => void) {
    this.#cluster = cluster;
    this.#found = (key, detail) => {
      if (this.#told.has(`${key} ${detail}`)) return;
      this.#told.add(`${key} ${detail}`);
      found(key, detail);
    };
    this.#views = new RingViews(cluster, this.#found);
    cluster.simulation.afterEvent = () => this.#look();
  }

  get views(): RingViews {
    return this.#views;
  }

  /** The machine's disk is empty, or one of earlier times: until it is filled its answers count for nothing. */
  diskLost(machine: Machine): void {
    this.#lost.add(machine);
  }

  /** A write that so many owners had made durable that a strict read must meet it. */
  acknowledged(rowKey: Uint8Array, write: WriteId, dots: readonly Dot[]): void {
    const tracked = this.#track(rowKey);
    if (tracked === undefined || dots.length === 0) return;
    const known = dots as readonly CausalDot[];
    const [first] = known;
    const actor = known.length > 1 ? write : `${first!.node}/${first!.tenure}`;
    const before = tracked.acknowledged.get(actor);
    if (before !== undefined && before.dots[0]!.counter >= first!.counter) return;
    tracked.acknowledged.set(actor, { write, dots: known });
    if (!this.#touched.has(tracked)) this.#touched.set(tracked, new Set());
  }

  #look(): void {
    if (this.#watched.size < this.#cluster.machines.length) this.#watchDisks();
    const learnt = this.#views.update();
    for (const [tracked, machines] of this.#touched) {
      for (const machine of machines) this.#reread(tracked, machine);
      if (!learnt) this.#check(tracked);
    }
    this.#touched.clear();
    if (!learnt) return;
    this.#noteFilled();
    for (const tracked of this.#tracked.values()) this.#check(tracked);
  }

  #watchDisks(): void {
    for (const machine of this.#cluster.machines) {
      if (this.#watched.has(machine)) continue;
      this.#watched.add(machine);
      machine.medium.onChange = (table, key) => {
        if (table !== RECORDS) return;
        const tracked = this.#track(key);
        if (tracked === undefined) return;
        const machines = this.#touched.get(tracked) ?? new Set();
        this.#touched.set(tracked, machines.add(machine));
      };
    }
  }

  /** A disk that was lost counts again when its node is a full member. */
  #noteFilled(): void {
    for (const machine of this.#lost) {
      const member = this.#views.newest?.ring.members.findLast(({ id }) => id === machine.id);
      if (member?.state === 'active' && machine.running?.node.member()?.storageId === member.storageId) {
        if (machine.running.node.ready()) this.#lost.delete(machine);
      }
    }
  }

  #track(rowKey: Uint8Array): Tracked | undefined {
    const id = String.fromCharCode(...rowKey);
    const known = this.#tracked.get(id);
    if (known !== undefined) return known;
    const facts = this.#views.newest;
    const { bucket, key } = recordName(rowKey);
    const properties = facts?.buckets.find(({ name }) => name === bucket)?.properties;
    if (facts === undefined) return undefined;
    const n = typeof properties?.['n'] === 'number' ? properties['n'] : 3;
    const partition = partitionOf(facts.ring, hashKey(facts.ring, bucket, key));
    const tracked: Tracked = {
      ...{ name: `${bucket}/${fromUtf8(key)}`, rowKey: rowKey.slice(), place: { n, partition } },
      ...{ acknowledged: new Map(), rows: new Map(), reclaimed: EMPTY_VECTOR },
    };
    this.#tracked.set(id, tracked);
    return tracked;
  }

  #reread(tracked: Tracked, machine: Machine): void {
    const { rows, rowKey } = tracked;
    const before = rows.get(machine) ?? NO_ROW;
    const stored = machine.medium.row(RECORDS, rowKey);
    const row = stored === undefined ? NO_ROW : rowOf(decodeState(stored, digest.crc32));
    rows.set(machine, row);
    if (row !== NO_ROW || before === NO_ROW) return;
    // What a crash has taken back was not on stable storage, and whoever has lost its disk has lost everything.
    if (machine.running === undefined || !this.#owns(machine, tracked.place)) return;
    if (isMarked(machine, tracked)) return;
    if (this.#isDropped(rowKey)) return;
    if (before.hasValues) this.#found(tracked.name, `${machine.id} has let go of a value though it owns the partition`);
    else tracked.reclaimed = joinVectors(tracked.reclaimed, before.vector);
  }

  /** The row is of a life of its bucket that has ended. */
  #isDropped(rowKey: Uint8Array): boolean {
    const { bucket, incarnation } = recordName(rowKey);
    const row = this.#views.newest?.buckets.find(({ name }) => name === bucket);
    return row !== undefined && (row.dropped || row.incarnation !== incarnation);
  }

  /** As far as it knows itself. */
  #owns(machine: Machine, place: Place): boolean {
    const self = machine.running!.node.member()?.index;
    const entry = this.#views.entryKnownBy(machine, place);
    return self !== undefined && entry !== undefined && writersOf(entry).includes(self);
  }

  #check(tracked: Tracked): void {
    if (tracked.acknowledged.size === 0) return;
    const views = this.#views.viewsOf(tracked.place);
    for (const write of tracked.acknowledged.values()) {
      if (write.dots.some((dot) => covers(tracked.reclaimed, dot))) continue;
      for (const view of views) this.#checkView(tracked, write, view);
    }
  }

  #checkView(tracked: Tracked, { write, dots }: Acknowledged, view: View): void {
    const { owners, move, changedIn } = view.entry;
    const { ring } = this.#views.newest!;
    const answering = owners
      .map((index) => this.#views.machineOf(ring, index))
      .filter((machine) => this.#mayAnswer(machine, tracked.place, view) && !isMarked(machine, tracked));
    const lacking = answering.filter((machine) => !dots.some((dot) => this.#knows(tracked, machine, dot)));
    const quorum = Math.floor(owners.length / 2) + 1;
    if (lacking.length < quorum) return;
    const stage = move === undefined ? 'stable' : move.stage;
    const names = lacking.map(({ id }) => id).join(' ');
    const since = view.isNewest ? '' : ', which some go by still';
    this.#found(
      tracked.name,
      `${write} was acknowledged, and ${names} of ${owners.length} owners lack it, stage ${stage} of epoch ${changedIn}${since}`,
    );
  }

  /** A node that is away may answer again by the newest rules; by older ones only if it has not heard of newer ones. */
  #mayAnswer(machine: Machine, place: Place, { entry, isNewest }: View): boolean {
    if (this.#lost.has(machine)) return false;
    const member = this.#views.newest!.ring.members.findLast(({ id }) => id === machine.id);
    if (isNewest) return member?.state !== 'refilling';
    if (machine.running?.node.ready() !== true) return false;
    const known = this.#views.entryKnownBy(machine, place);
    return known === undefined || known.changedIn <= entry.changedIn;
  }

  #knows({ rows }: Tracked, machine: Machine, dot: CausalDot): boolean {
    return covers(rows.get(machine)?.vector ?? EMPTY_VECTOR, dot);
  }
}

/** The row was damaged, and is no answer. */
function isMarked({ medium }: Machine, { rowKey }: Tracked): boolean {
  return medium.row(DAMAGED, rowKey) !== undefined;
}

function rowOf({ vector, versions }: State): Row {
  return { vector, hasValues: versions.some(({ content }) => content !== null) };
}
