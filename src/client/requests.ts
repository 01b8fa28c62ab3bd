/** What a caller may ask for beside the key and the value, and what becomes of it in a request. */

import type { Entry } from './entry.ts';

/** A number of replicas, or a word for it. */
export type Count = number | 'one' | 'quorum' | 'all';

export type Consistency = 'one' | 'quorum' | 'strict_quorum' | 'all' | 'local_quorum';

/** Given with any operation. */
export interface Common {
  /** Milliseconds for the operation with all its attempts. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

export interface ReadOptions extends Common {
  readonly r?: Count;
  readonly pr?: Count;
  readonly sloppy?: boolean;
  /** One word instead of the numbers. */
  readonly consistency?: Consistency;
}

export interface ChangeOptions extends Common {
  readonly w?: Count;
  readonly pw?: Count;
  readonly dw?: Count;
  readonly sloppy?: boolean;
  readonly consistency?: Consistency;
  /**
   * What makes two requests one. Made up for each operation when it is not given, but for those that one replica is enough for;
   * false for none: then a write is only tried again when it certainly was not applied.
   */
  readonly idempotencyKey?: string | false;
  /**
   * Tried again without an idempotency key, whatever became of the first attempt: cheaper, for writes of which two are as good as
   * one, such as the only writer's to a bucket that keeps the latest.
   */
  readonly atLeastOnce?: boolean;
}

/** The read that a write follows: the entry, or its context. */
export type Follows = Pick<Entry<unknown>, 'context' | 'etag' | 'exists'> | string;

export interface DeleteOptions extends ChangeOptions {
  readonly follows?: Follows;
  /** ETag that must be there. */
  readonly ifMatch?: string;
}

export interface PutOptions extends DeleteOptions {
  /** Only when there is nothing yet. */
  readonly ifAbsent?: boolean;
  /** Seconds to live. */
  readonly ttl?: number;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly meta?: Readonly<Record<string, string>>;
}

export interface TouchOptions extends ChangeOptions {
  /** Seconds to live. */
  readonly ttl?: number;
  /** ETag that must be there. */
  readonly ifMatch?: string;
}

/** The query of a request about a key. */
export function queryOf(
  options: ReadOptions & ChangeOptions & { readonly ttl?: number },
): Readonly<Record<string, string | number | boolean | undefined>> {
  const { r, pr, w, pw, dw, sloppy, consistency, ttl } = options;
  return { r, pr, w, pw, dw, sloppy, consistency, ttl };
}
