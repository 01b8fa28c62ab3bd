/**
 * The one container for everything that a key can hold: `{ vector, versions }`.
 *
 * The vector says which dots are known here, the versions are those of them that are still live. A dot that the vector
 * covers and that has no version was superseded, so a key without versions is its own tombstone: there is no second
 * mechanism for deletes. (Dotted version vectors, Preguiça et al. 2010; causal containers, Almeida et al. 2018.)
 */

import type { Dot } from './dot.ts';

/** For each actor, sorted by (node, tenure), the counter up to which all its dots for this key are known. */
export type VersionVector = readonly Dot[];

/** What a client stored. Header values are kept as they came. */
export interface Content {
  readonly value: Uint8Array;
  readonly contentType: string;
  /** Empty when none was given. */
  readonly contentEncoding: string;
  /** `Quoral-Meta-*` headers, names in lower case without the prefix, sorted by name, each name once. */
  readonly meta: readonly (readonly [name: string, value: string])[];
}

/** One live version. A deletion marker (only in last-write-wins buckets) has no content but a rank: its dot. */
export interface Version {
  readonly dot: Dot;
  /** Null for a deletion marker, and where it has expired and was taken away. */
  readonly content: Content | null;
  /** Milliseconds since 1970 after which the version is as good as deleted; 0 for never. */
  readonly expiresAt: number;
  /**
   * Names the request that wrote it, when that had an idempotency key: 32 hex digits that equal requests share, and only
   * they. See repeats.ts.
   */
  readonly request?: string | undefined;
}

export interface State {
  readonly vector: VersionVector;
  /** Sorted by dot: (node, tenure, counter). */
  readonly versions: readonly Version[];
}

/** How concurrent versions are settled in a bucket. */
export type Conflicts = 'siblings' | 'lww';

export const EMPTY_VECTOR: VersionVector = [];
export const EMPTY_STATE: State = { vector: EMPTY_VECTOR, versions: [] };
