/**
 * Who shall own what when the members, their weights or their zones have changed: the same shares and zones as a first
 * placement would give, with as few moves as any table with these shares can have.
 *
 * That is a flow of least price: each partition sends one unit for each owner, through its zones, into the members, who take
 * in as many as their shares; a unit into a member that owns the partition already is free, any other costs 1. What stands
 * now and fits is put in first, at no price, and the rest finds the cheapest ways (Garage computes its layouts so, too).
 */

import { assert, present } from '#kernel/assert.ts';
import type { NodeIndex } from '#kernel/identity.ts';
import { balanceFirstOwners } from './first-owner.ts';
import { FlowNetwork } from './min-cost-flow.ts';
import { placeableMembers } from './placement.ts';
import { rendezvous } from './rendezvous.ts';
import type { Member } from './ring.ts';
import { zoneShares, type ZoneShares } from './zone-shares.ts';

/** One replica changes hands. A member without a `from` joins a list that was too short. */
export interface Move {
  readonly partition: number;
  readonly from: NodeIndex | null;
  readonly to: NodeIndex;
}

export interface Claim {
  /** The owners of each partition, in preference order. */
  readonly rows: readonly (readonly NodeIndex[])[];
  readonly moves: readonly Move[];
  /** Owners that leave a list without a successor, because there are fewer members than replicas. */
  readonly dropped: readonly { readonly partition: number; readonly from: NodeIndex }[];
}

/**
 * The table for `n` that follows `current`, the owners of each partition now. Deterministic: the same members and table give
 * the same claim in whatever order the members come.
 */
export function claim(members: readonly Member[], n: number, current: readonly (readonly NodeIndex[])[]): Claim {
  const candidates = placeableMembers(members);
  assert(candidates.length > 0, 'a claim needs at least one member that may own something');
  const owners = Math.min(n, candidates.length);
  const held = countOwned(current);
  const zones = zoneShares(candidates, owners, current.length, (index) => held.get(index) ?? 0);
  const chosen = chooseOwners(zones, owners, current, held);

  const zoneOf = new Map(members.map(({ index, zone }) => [index, zone]));
  const moves: Move[] = [];
  const dropped: Claim['dropped'][number][] = [];
  const rows = current.map((row, partition) => {
    const { seated, left } = matchSlots(row, present(chosen[partition], `partition ${partition}`), zoneOf);
    for (const { from, to } of seated) if (from !== to) moves.push({ partition, from, to });
    for (const from of left) dropped.push({ partition, from });
    return seated.map(({ to }) => to);
  });
  balanceFirstOwners(rows, candidates, 'kept');
  return { rows, moves, dropped };
}

/**
 * Most changes have a solution in which only those take something who own too little now, and none is cheaper: then the small
 * network of these members will do. Otherwise the whole one finds the way around.
 */
function chooseOwners(
  zones: readonly ZoneShares[],
  owners: number,
  current: readonly (readonly NodeIndex[])[],
  held: ReadonlyMap<NodeIndex, number>,
): NodeIndex[][] {
  const lacks = zones.flatMap(({ members }) =>
    members.map(({ index, share }) => ({ index, lack: share - (held.get(index) ?? 0) })),
  );
  const lacking = new Set(lacks.filter(({ lack }) => lack > 0).map(({ index }) => index));
  const least = lacks.reduce((sum, { lack }) => sum + Math.max(0, lack), 0);
  const small = new ClaimNetwork(zones, owners, current, (index) => lacking.has(index)).solve();
  if (small?.moves === least) return small.chosen;
  const whole = new ClaimNetwork(zones, owners, current, () => true).solve();
  return present(whole, 'an owner for each replica').chosen;
}

function countOwned(rows: readonly (readonly NodeIndex[])[]): Map<NodeIndex, number> {
  const counts = new Map<NodeIndex, number>();
  for (const index of rows.flat()) counts.set(index, (counts.get(index) ?? 0) + 1);
  return counts;
}

interface Seat {
  readonly from: NodeIndex | null;
  readonly to: NodeIndex;
}

/**
 * Who takes whose place: those who stay keep theirs; a newcomer takes that of a leaver of its own zone if there is one, and
 * of any leaver otherwise. So each newcomer has one source that holds all that it needs.
 */
export function matchSlots(
  row: readonly NodeIndex[],
  chosen: readonly NodeIndex[],
  zoneOf: ReadonlyMap<NodeIndex, string>,
): { readonly seated: readonly Seat[]; readonly left: readonly NodeIndex[] } {
  const newcomers = chosen.filter((index) => !row.includes(index));
  const leavers = row.filter((index) => !chosen.includes(index));
  const successor = new Map<NodeIndex, NodeIndex>();
  for (const sameZone of [true, false]) {
    for (const leaver of leavers) {
      if (successor.has(leaver)) continue;
      const at = newcomers.findIndex((index) => !sameZone || zoneOf.get(index) === zoneOf.get(leaver));
      if (at >= 0) successor.set(leaver, newcomers.splice(at, 1)[0]!);
    }
  }
  const seated: Seat[] = [];
  for (const index of row) {
    const to = chosen.includes(index) ? index : successor.get(index);
    if (to !== undefined) seated.push({ from: index, to });
  }
  for (const to of newcomers) seated.push({ from: null, to });
  return { seated, left: leavers.filter((leaver) => !successor.has(leaver)) };
}

/** The network of one partition: its two ways into a zone, and from there to each member. */
interface PartitionEdges {
  /** To one owner of each zone; `rest` to the further owners of one zone. */
  readonly spread: number;
  readonly rest: number;
  readonly zones: readonly {
    readonly first: number;
    readonly further: number;
    readonly members: ReadonlyMap<NodeIndex, number>;
  }[];
}

class ClaimNetwork {
  readonly #flow = new FlowNetwork();
  readonly #source = this.#flow.addNode();
  readonly #sink = this.#flow.addNode();
  readonly #zones: readonly ZoneShares[];
  readonly #owners: number;
  readonly #current: readonly (readonly NodeIndex[])[];
  readonly #mayTake: (index: NodeIndex) => boolean;
  /** From each member to the sink: as wide as its share. */
  readonly #takes = new Map<NodeIndex, { readonly node: number; readonly edge: number }>();
  readonly #partitions: readonly PartitionEdges[];

  /** `mayTake` says who may be given what it does not own. */
  constructor(
    zones: readonly ZoneShares[],
    owners: number,
    current: readonly (readonly NodeIndex[])[],
    mayTake: (index: NodeIndex) => boolean,
  ) {
    this.#zones = zones;
    this.#owners = owners;
    this.#current = current;
    this.#mayTake = mayTake;
    for (const { index, share } of zones.flatMap(({ members }) => members)) {
      const node = this.#flow.addNode();
      this.#takes.set(index, { node, edge: this.#flow.addEdge(node, this.#sink, share, 0) });
    }
    this.#partitions = current.map((row, partition) => this.#addPartition(row, partition));
  }

  /** The owners of each partition, or undefined when some replica finds none. */
  solve(): { readonly chosen: NodeIndex[][]; readonly moves: number } | undefined {
    let kept = 0;
    // In an order that looks random, so that a member that must give gives parts of many different sets.
    const order = this.#current.map((_, partition) => partition);
    const draws = order.map((partition) => rendezvous(partition, 0xffff as NodeIndex));
    order.sort((a, b) => draws[a]! - draws[b]! || a - b);
    for (const partition of order) kept += this.#keep(partition);
    const found = this.#flow.fill(this.#source, this.#sink);
    if (kept + found !== this.#owners * this.#current.length) return undefined;
    const chosen = this.#partitions.map(({ zones }) =>
      zones.flatMap(({ members }) =>
        [...members].filter(([, edge]) => this.#flow.flowOf(edge) > 0).map(([index]) => index),
      ),
    );
    const moves = chosen.reduce(
      (sum, row, partition) => sum + row.filter((index) => !this.#current[partition]!.includes(index)).length,
      0,
    );
    return { chosen, moves };
  }

  #addPartition(row: readonly NodeIndex[], partition: number): PartitionEdges {
    const flow = this.#flow;
    const distinct = Math.min(this.#owners, this.#zones.length);
    const spreadNode = flow.addNode();
    const restNode = flow.addNode();
    const spread = flow.addEdge(this.#source, spreadNode, distinct, 0);
    const rest = flow.addEdge(this.#source, restNode, this.#owners - distinct, 0);
    const zones = this.#zones.map(({ most, members }) => {
      const zoneNode = flow.addNode();
      const first = flow.addEdge(spreadNode, zoneNode, 1, 0);
      const further = flow.addEdge(restNode, zoneNode, most - 1, 0);
      // The edge that is added last is tried first: the best draw by weight.
      const byDraw = members
        .filter(({ index }) => row.includes(index) || this.#mayTake(index))
        .map(({ index, share }) => ({ index, draw: rendezvous(partition, index) / Math.max(share, 1) }))
        .sort((a, b) => b.draw - a.draw || b.index - a.index);
      const edges = byDraw.map(({ index }): [NodeIndex, number] => {
        const { node } = present(this.#takes.get(index), `member ${index}`);
        return [index, flow.addEdge(zoneNode, node, 1, row.includes(index) ? 0 : 1)];
      });
      return { first, further, members: new Map(edges) };
    });
    return { spread, rest, zones };
  }

  /** Keeps the owners that may stay; returns how many. */
  #keep(partition: number): number {
    const { spread, rest, zones } = present(this.#partitions[partition], `partition ${partition}`);
    let kept = 0;
    for (const index of this.#current[partition] ?? []) {
      const zone = zones.find(({ members }) => members.has(index));
      if (zone === undefined) continue;
      const member = zone.members.get(index)!;
      const take = this.#takes.get(index)!.edge;
      const isKept =
        this.#flow.pushFree([spread, zone.first, member, take]) ||
        this.#flow.pushFree([rest, zone.further, member, take]);
      if (isKept) kept += 1;
    }
    return kept;
  }
}
