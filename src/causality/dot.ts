/**
 * A dot names one write for ever: the actor that minted it and a counter that this actor never uses twice.
 *
 * An actor is a node during one tenure. A new tenure begins whenever the node cannot be sure any more that it remembers
 * all dots it has minted (a new or wiped disk, an unclean stop, an uncertain commit), so no dot is ever issued twice.
 * Counters are hybrid logical clock values, which gives writes an order that extends causality.
 */

import type { NodeIndex } from '#kernel/identity.ts';

export interface Actor {
  readonly node: NodeIndex;
  /** The hybrid time at which the tenure began. */
  readonly tenure: number;
}

export interface Dot extends Actor {
  /** A hybrid time; among the dots of one actor, later writes have larger ones. */
  readonly counter: number;
}

export function compareActors(a: Actor, b: Actor): number {
  return a.node - b.node || a.tenure - b.tenure;
}

export function sameActor(a: Actor, b: Actor): boolean {
  return a.node === b.node && a.tenure === b.tenure;
}

export function sameDot(a: Dot, b: Dot): boolean {
  return a.counter === b.counter && a.node === b.node && a.tenure === b.tenure;
}

/** The same text for the same dot, for sets of many. */
export function dotName({ node, tenure, counter }: Dot): string {
  return `${node} ${tenure} ${counter}`;
}

/** The order in which a state keeps its versions: by actor, then by counter. */
export function compareDotsByActor(a: Dot, b: Dot): number {
  return compareActors(a, b) || a.counter - b.counter;
}

/** A total order in which causally later comes later: by counter, ties by actor. This is what "last write" means. */
export function compareDotsByTime(a: Dot, b: Dot): number {
  return a.counter - b.counter || compareActors(a, b);
}
