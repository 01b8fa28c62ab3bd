/**
 * What one epoch decides: everything that all nodes must agree on. The chain of epochs is the only authority for it.
 */

import type { Epoch, NodeIndex } from '#kernel/identity.ts';
import type { Ring } from '#ring/ring.ts';

/** A bucket's definition as the chain carries it; what the properties mean is the business of buckets/. */
export interface BucketRow {
  readonly name: string;
  /** Grows each time the bucket is dropped, so that rows of an earlier life cannot come back. 0 for the first life. */
  readonly incarnation: number;
  /** The epoch that decided this row. */
  readonly version: Epoch;
  /** True when the bucket was dropped and not defined again: it has the defaults then. */
  readonly dropped: boolean;
  readonly properties: Readonly<Record<string, string | number | boolean | null>>;
  /** Whether requests for its keys are refused, because what they rely on is about to change; only there when it is so. */
  readonly frozen?: true;
}

/** A client's token as the chain carries it; what the scopes mean is the business of access/. */
export interface TokenRow {
  readonly name: string;
  /** SHA-256 of the secret, which nobody keeps. */
  readonly digest: Uint8Array;
  readonly scopes: readonly string[];
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Milliseconds since 1970; 0 for never. */
  readonly expiresAt: number;
}

export interface Facts {
  readonly epoch: Epoch;
  readonly ring: Ring;
  /** Sorted by name. */
  readonly buckets: readonly BucketRow[];
  /** Sorted by name. */
  readonly tokens: readonly TokenRow[];
}

/** How a node introduces itself to those who found a cluster or take it in. */
export interface Introduction {
  readonly id: string;
  readonly storageId: string;
  readonly peer: string;
  readonly url: string;
  readonly zone: string;
  readonly weight: number;
}

/** Proposers order their ballots by (time, node, boot); each is used once. */
export interface Ballot {
  readonly time: number;
  readonly node: NodeIndex;
  readonly boot: number;
}
