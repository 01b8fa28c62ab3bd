/**
 * What clients of data types asked for and were told. Operations are put down by what they do to parts: a counter, or a set of
 * words. A field of a map is a part of its own, and a flag is a set that holds one word or none.
 */

import type { Moment, ReadQuorum, WriteQuorum } from '../history.ts';

export type Effect =
  /** `slot`: whose increments they are, each one by one. */
  | { readonly kind: 'increment'; readonly slot: number }
  | { readonly kind: 'add'; readonly word: string }
  /** `word`: null for all of them. */
  | { readonly kind: 'take'; readonly word: string | null; readonly after: SeenBefore | null };

/** What the client was shown of the part together with the context that it sends. */
export interface SeenBefore {
  /** Orders of the read. */
  readonly start: number;
  readonly end: number;
  readonly quorum: ReadQuorum;
  readonly words: readonly string[];
}

export interface Attempt {
  readonly start: Moment;
  /** Null when there was no answer: then it may be made at any later time. */
  readonly end: Moment | null;
  readonly outcome: 'applied' | 'not-applied' | 'unknown';
  readonly quorum: WriteQuorum;
}

export interface TypeOperation {
  readonly id: string;
  readonly part: string;
  readonly effects: readonly Effect[];
  /** More than one of the same request, with one idempotency key. */
  readonly attempts: Attempt[];
}

export interface TypeRead {
  readonly part: string;
  readonly start: Moment;
  readonly end: Moment;
  readonly quorum: ReadQuorum;
  readonly shown: number | readonly string[];
  /** When all was healed and all owners held the same. */
  readonly final: boolean;
}

export interface TypeHistory {
  readonly operations: readonly TypeOperation[];
  readonly reads: readonly TypeRead[];
  readonly owners: number;
  /** Of the owners that answer or have confirmed, so many count at most. */
  readonly most: number;
  /** Whether a crash of this run may lose what had not been synced, and how many disks were lost for good. */
  readonly losesUnsynced: boolean;
  readonly disksLost: number;
}

/** Increments of different clients are told apart in the sum: each has three digits of its own. */
export const SLOTS = 5;
const BASE = 1000;

export function incrementOf(slot: number): number {
  return BASE ** slot;
}

/** How often each client's increment is in the sum. */
export function countsIn(sum: number): readonly number[] {
  return Array.from({ length: SLOTS }, (_, slot) => Math.floor(sum / BASE ** slot) % BASE);
}
