/**
 * The coordinator's door: what api/ asks for and what it gets back. A write has three outcomes, never two: applied, not
 * applied (no replica holds it), or unknown (some replica may hold it, so it may still win). With an idempotency key the
 * outcome speaks for all attempts at the request, of which the coordinator sees one: "not applied" is then never said.
 */

import type { Content, Version, VersionVector } from '#causality/state.ts';
import type { KeyOperation } from '#causality/data-type.ts';
import type { Epoch, NodeId } from '#kernel/identity.ts';
import type { Bucket } from '#buckets/definition.ts';
import type { Span } from '#world/world.ts';
import type { Dot } from '#causality/dot.ts';
import type { RequestMark } from '#causality/repeats.ts';
import type { Conditions } from './preconditions.ts';

export interface KeyRequest {
  /** Appears in logs and travels with every replica message. */
  readonly requestId: string;
  readonly bucket: Bucket;
  readonly key: Uint8Array;
  /** An instant of the monotonic clock by which the answer must be out. */
  readonly deadline: number;
  /** The number of owners for which the request's numbers were worked out; without it, as many as there are now. */
  readonly replicas?: number | undefined;
  /** Only owners in this zone count, and a majority of them is needed, whatever the numbers say. */
  readonly zone?: string | undefined;
  /** What the client's session has seen of the key: a read answers when it knows that much, a write comes after it. */
  readonly least?: VersionVector | undefined;
  /** The step that this request is a part of, when it is traced. */
  readonly trace?: Span | undefined;
}

export interface ReadRequest extends KeyRequest {
  readonly r: number;
  readonly pr: number;
  readonly sloppy: boolean;
}

export interface WriteRequest extends KeyRequest {
  /** The content to store, or null to delete. */
  readonly content: Content | null;
  /** What is to be done to the data type that the bucket holds, or a touch; there is no content then. */
  readonly operation?: KeyOperation | undefined;
  /**
   * What the client has seen; null when it sent no context. What takes something away reads first without one, at `r` and
   * `pr`.
   */
  readonly context: VersionVector | null;
  readonly r: number;
  readonly pr: number;
  /** Judged against what a read at `r` and `pr` finds, unless the request was carried out before. */
  readonly conditions: Conditions | null;
  /** What the request is known by when it is sent again; null without an idempotency key. */
  readonly mark: RequestMark | null;
  /** Milliseconds that the value lives, from when an owner writes it; 0 for ever. */
  readonly ttl: number;
  readonly w: number;
  readonly pw: number;
  readonly dw: number;
  readonly sloppy: boolean;
  /** Whether the answer shall hold the values; without it a forwarded write does not carry them back. */
  readonly returnBody: boolean;
}

export interface Agreement {
  readonly acked: number;
  readonly needed: number;
  /** Owners of the key. */
  readonly of: number;
  readonly fallbacks: number;
}

/** Kebab-case problem codes of the contract that a coordinator can give. */
export type Trouble =
  | 'quorum-unavailable'
  | 'quorum-timeout'
  | 'not-ready'
  | 'overloaded'
  | 'disk-full'
  | 'too-many-siblings'
  | 'value-too-large'
  | 'idempotency-mismatch'
  | 'conflict'
  | 'session-not-met';

export type ReadOutcome =
  | {
      readonly kind: 'found';
      readonly agreement: Agreement;
      readonly coordinator: NodeId;
      /** Live versions, deletion markers left out; empty when the key is absent or deleted. */
      readonly versions: readonly Version[];
      /** Covers exactly what is shown; empty when nothing was ever stored. */
      readonly context: VersionVector;
    }
  | { readonly kind: 'failed'; readonly trouble: Trouble; readonly detail: string; readonly agreement: Agreement };

export type WriteOutcome =
  | {
      readonly kind: 'applied';
      readonly agreement: Agreement;
      readonly coordinator: NodeId;
      /** The versions that were live at the coordinator after the write; values may be empty unless `returnBody` was set. */
      readonly versions: readonly Version[];
      /** The vector of that state: only to be shown together with all of `versions`. */
      readonly context: VersionVector;
      /** The dot of the write. Of a request sent again that of the first attempt, which need not be live any more. */
      readonly written: Dot;
    }
  | {
      /** The write was not begun, for its conditions do not hold, or there is nothing to touch. */
      readonly kind: 'precondition-failed';
      readonly agreement: Agreement;
      readonly coordinator: NodeId;
      /** Of what is there; undefined when nothing is live. */
      readonly etag: string | undefined;
    }
  | {
      readonly kind: 'not-applied' | 'unknown';
      readonly trouble: Trouble;
      readonly detail: string;
      readonly agreement: Agreement;
      /** With `too-many-siblings`: the context of what the coordinator saw, so that the client can resolve it. */
      readonly context?: VersionVector;
      /** The dot that it got, when it got one: it may surface. */
      readonly written?: Dot;
    };

/** Whether the request takes the whole key away. */
export function isDeletion({ content, operation }: Pick<WriteRequest, 'content' | 'operation'>): boolean {
  return content === null && operation === undefined;
}

/** When what the request writes expires, in milliseconds since 1970; 0 for never. */
export function expiryOf(request: Pick<WriteRequest, 'ttl' | 'content' | 'operation'>, now: number): number {
  return request.ttl === 0 || isDeletion(request) ? 0 : now + request.ttl;
}

/** A read that may also ask what a request with an idempotency key has become. */
export interface RoundRequest extends ReadRequest {
  readonly retryId?: Uint8Array | undefined;
  /** Of the request that `retryId` names: owners that know nothing of it need say no more than that. */
  readonly fingerprint?: Uint8Array | undefined;
  /** Everybody is to send the values, however large: it did not work otherwise. */
  readonly whole?: boolean;
}

/** How a round of reading ends. */
export type ReadEnding =
  /** `unmet`: everybody has answered, and nobody knows what the session has seen. */
  | { readonly kind: 'reached' | 'impossible' | 'deadline' | 'unmet' }
  /** A replica knows an epoch that this node does not. */
  | { readonly kind: 'stale'; readonly epoch: Epoch };
