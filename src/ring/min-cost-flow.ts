/**
 * The cheapest way to send as much as possible through a network of capacities (Ahuja, Magnanti and Orlin, "Network
 * Flows", 1993, chapter 9): primal-dual, that is shortest distances once for each price level, and all paths of that price at
 * once by blocking flows (Dinic). Prices are small whole numbers from 0, so distances come from buckets instead of a heap.
 *
 * Deterministic: equal networks, built in the same order, give equal flows.
 */

import { assert } from '#kernel/assert.ts';

export class FlowNetwork {
  readonly #first: number[] = [];
  readonly #next: number[] = [];
  readonly #target: number[] = [];
  readonly #room: number[] = [];
  readonly #price: number[] = [];
  #potential: number[] = [];

  addNode(): number {
    return this.#first.push(-1) - 1;
  }

  /** An edge; `price`, a whole number from 0, is paid for each unit. Later edges of a node are tried first. */
  addEdge(from: number, to: number, capacity: number, price: number): number {
    assert(price >= 0 && Number.isInteger(price), `price ${price} of an edge`);
    const edge = this.#half(from, to, capacity, price);
    this.#half(to, from, 0, -price);
    return edge;
  }

  /**
   * Sends units over the edges of a path without looking for the cheapest one: only for paths without a price, which are the
   * cheapest there are. False, with nothing sent, when one of them is full.
   */
  pushFree(path: readonly number[]): boolean {
    assert(
      path.every((edge) => this.#price[edge] === 0),
      'a path with a price was pushed',
    );
    if (path.some((edge) => this.#room[edge] === 0)) return false;
    for (const edge of path) this.#send(edge, 1);
    return true;
  }

  flowOf(edge: number): number {
    return this.#room[edge ^ 1]!;
  }

  /** Sends as much more as fits, at the least price for that much; returns how much more. */
  fill(source: number, sink: number): number {
    this.#potential = this.#first.map(() => 0);
    let sent = 0;
    while (this.#raisePotentials(source, sink)) {
      for (;;) {
        const levels = this.#levels(source, sink);
        if (levels[sink]! < 0) break;
        const arcs = [...this.#first];
        let found = this.#advance(source, sink, Infinity, levels, arcs);
        while (found > 0) {
          sent += found;
          found = this.#advance(source, sink, Infinity, levels, arcs);
        }
      }
    }
    return sent;
  }

  #half(from: number, to: number, capacity: number, price: number): number {
    const edge = this.#target.push(to) - 1;
    this.#next.push(this.#first[from]!);
    this.#first[from] = edge;
    this.#room.push(capacity);
    this.#price.push(price);
    return edge;
  }

  #send(edge: number, units: number): void {
    this.#room[edge]! -= units;
    this.#room[edge ^ 1]! += units;
  }

  /** The price of an edge as seen from the potentials: never below 0 where there is room. */
  #reduced(from: number, edge: number): number {
    return this.#price[edge]! + this.#potential[from]! - this.#potential[this.#target[edge]!]!;
  }

  /** Shortest distances from the source; false when the sink cannot be reached any more. */
  #raisePotentials(source: number, sink: number): boolean {
    const distance = this.#first.map(() => Infinity);
    const buckets: number[][] = [[source]];
    distance[source] = 0;
    for (let near = 0; near < buckets.length; near++) {
      const bucket = buckets[near] ?? [];
      for (let node = bucket.pop(); node !== undefined; node = bucket.pop()) {
        if (distance[node] !== near) continue;
        for (let edge = this.#first[node]!; edge >= 0; edge = this.#next[edge]!) {
          if (this.#room[edge] === 0) continue;
          const to = this.#target[edge]!;
          const far = near + this.#reduced(node, edge);
          if (far >= distance[to]!) continue;
          distance[to] = far;
          (buckets[far] ??= []).push(to);
        }
      }
    }
    const reach = distance[sink]!;
    if (reach === Infinity) return false;
    for (let node = 0; node < distance.length; node++) this.#potential[node]! += Math.min(distance[node]!, reach);
    return true;
  }

  /** Steps from the source over edges that cost nothing by the potentials; -1 where those do not lead. */
  #levels(source: number, sink: number): number[] {
    const levels = this.#first.map(() => -1);
    levels[source] = 0;
    const queue = [source];
    for (const node of queue) {
      if (node === sink) break;
      for (let edge = this.#first[node]!; edge >= 0; edge = this.#next[edge]!) {
        const to = this.#target[edge]!;
        if (levels[to]! >= 0 || this.#room[edge] === 0 || this.#reduced(node, edge) !== 0) continue;
        levels[to] = levels[node]! + 1;
        queue.push(to);
      }
    }
    return levels;
  }

  /** One path from here to the sink, as wide as it is; `arcs` remembers the edges that lead nowhere. */
  #advance(node: number, sink: number, most: number, levels: readonly number[], arcs: number[]): number {
    if (node === sink) return most;
    for (; arcs[node]! >= 0; arcs[node] = this.#next[arcs[node]!]!) {
      const edge = arcs[node]!;
      const to = this.#target[edge]!;
      if (this.#room[edge] === 0 || levels[to] !== levels[node]! + 1 || this.#reduced(node, edge) !== 0) continue;
      const sent = this.#advance(to, sink, Math.min(most, this.#room[edge]!), levels, arcs);
      if (sent === 0) continue;
      this.#send(edge, sent);
      return sent;
    }
    return 0;
  }
}
