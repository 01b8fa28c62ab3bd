/**
 * What the nodes know of the ring, as it were from above: which epochs were decided, and by the rules of which stage of a move
 * each node goes. The watch over ring changes asks it.
 */

import type { NodeIndex } from '#kernel/identity.ts';
import type { Facts } from '#consensus/facts.ts';
import { newOwners, oldOwners } from '#ring/moving.ts';
import { hasPlacement, ownersOf } from '#ring/preference-list.ts';
import type { PartitionOwners, Ring } from '#ring/ring.ts';
import type { Machine, SimulatedCluster } from './cluster.ts';

export interface Place {
  readonly n: number;
  readonly partition: number;
}

/** By whose rules some nodes serve reads of a partition now. */
export interface View {
  readonly entry: PartitionOwners;
  /** Whether nobody knows anything newer. */
  readonly isNewest: boolean;
}

export class RingViews {
  readonly #cluster: SimulatedCluster;
  readonly #found: (key: string, detail: string) => void;
  /** What each machine has learnt last; its disk keeps that. */
  readonly #known = new Map<Machine, Facts>();
  readonly #decided = new Map<number, string>();
  /** Of each partition the stages in the order in which they were decided, as far as anybody knows them. */
  readonly #stages = new Map<string, PartitionOwners[]>();
  #newest: Facts | undefined;

  constructor(cluster: SimulatedCluster, found: (key: string, detail: string) => void) {
    this.#cluster = cluster;
    this.#found = found;
  }

  get newest(): Facts | undefined {
    return this.#newest;
  }

  /** Looks whether some node has learnt an epoch since the last time. */
  update(): boolean {
    let learnt = false;
    for (const machine of this.#cluster.machines) {
      const facts = machine.running?.node.chain.facts();
      if (facts === undefined || this.#known.get(machine) === facts) continue;
      this.#known.set(machine, facts);
      this.#learn(machine, facts);
      learnt = true;
    }
    if (learnt) for (const place of this.#places()) this.#onlyNeighbours(place);
    return learnt;
  }

  knownBy(machine: Machine): Facts | undefined {
    return this.#known.get(machine);
  }

  machineOf(ring: Ring, index: NodeIndex): Machine {
    const id = ring.members.find((member) => member.index === index)!.id;
    return this.#cluster.machine(id);
  }

  entryKnownBy(machine: Machine, { n, partition }: Place): PartitionOwners | undefined {
    const ring = this.#known.get(machine)?.ring;
    return ring === undefined || !hasPlacement(ring, n) ? undefined : ownersOf(ring, n, partition);
  }

  /** The rules that a running node goes by, and the newest ones. */
  viewsOf(place: Place): readonly View[] {
    if (this.#newest === undefined || !hasPlacement(this.#newest.ring, place.n)) return [];
    const newest = ownersOf(this.#newest.ring, place.n, place.partition);
    const views = new Map<number, View>([[newest.changedIn, { entry: newest, isNewest: true }]]);
    for (const machine of this.#cluster.machines) {
      if (machine.running === undefined) continue;
      const entry = this.entryKnownBy(machine, place);
      if (entry !== undefined && !views.has(entry.changedIn)) views.set(entry.changedIn, { entry, isNewest: false });
    }
    return [...views.values()];
  }

  #learn({ id }: Machine, facts: Facts): void {
    const text = JSON.stringify(facts, inOrder);
    const before = this.#decided.get(facts.epoch);
    if (before === undefined) this.#decided.set(facts.epoch, text);
    else if (before !== text) this.#found(id, `another ring than others has, of the same epoch ${facts.epoch}`);
    if (facts.epoch > (this.#newest?.epoch ?? 0)) this.#newest = facts;
    for (const { n, partitions } of facts.ring.placements) {
      for (const [partition, entry] of partitions.entries()) this.#addStage({ n, partition }, entry);
    }
  }

  #addStage({ n, partition }: Place, entry: PartitionOwners): void {
    const name = `${n}/${partition}`;
    const stages = this.#stages.get(name) ?? [];
    this.#stages.set(name, stages);
    const after = stages.findIndex(({ changedIn }) => changedIn >= entry.changedIn);
    if (after < 0) stages.push(entry);
    else if (stages[after]!.changedIn > entry.changedIn) stages.splice(after, 0, entry);
  }

  #places(): readonly Place[] {
    const placements = this.#newest?.ring.placements ?? [];
    return placements.flatMap(({ n, partitions }) => partitions.map((_, partition) => ({ n, partition })));
  }

  /** Of the owners that serve, those that are two stages behind are too few to make up a quorum. */
  #onlyNeighbours(place: Place): void {
    const ring = this.#newest!.ring;
    const all = this.#stages.get(`${place.n}/${place.partition}`)!;
    const distinct = all.filter((entry, i) => i === 0 || rulesOf(entry) !== rulesOf(all[i - 1]!));
    if (distinct.length < 3) return;
    const [before, now] = [distinct.at(-2)!, distinct.at(-1)!];
    const allowed = new Set([rulesOf(before), rulesOf(now)]);
    for (const set of [oldOwners(before), newOwners(before)]) {
      const behind = set.filter((index) => {
        const machine = this.machineOf(ring, index);
        const entry = this.entryKnownBy(machine, place);
        return machine.running?.node.ready() === true && entry !== undefined && !allowed.has(rulesOf(entry));
      });
      if (2 * behind.length <= set.length) continue;
      const names = behind.map((index) => this.machineOf(ring, index).id).join(' ');
      this.#found(`${place.n}/${place.partition}`, `${names} of ${set.length} go by rules of two stages ago`);
    }
  }
}

/** Equal facts have one spelling. */
function inOrder(_: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function rulesOf({ owners, move }: PartitionOwners): string {
  const stage = move?.stage === 'dual' || move?.stage === 'read-new' ? move : undefined;
  const sorted = (set: readonly NodeIndex[]): string => set.toSorted((a, b) => a - b).join();
  return `${sorted(owners)} ${stage === undefined ? '' : sorted(stage.others)}`;
}
