/**
 * What a replica answers when it is asked for what it holds: the state, or its outline where that is enough, or that it is what
 * whoever asks has himself.
 */

import { isAbridged } from '#causality/abridged.ts';
import { encodeOutline } from '#causality/outline.ts';
import type { Checksum } from '#kernel/native.ts';
import type { FetchReply, FetchRequest } from './messages.ts';
import type { StoredState } from './records.ts';
import type { RetryRow } from './retry-codec.ts';
import { attemptIn } from './settle-retries.ts';

export function fetched(
  stored: StoredState | undefined,
  { valuesUpTo, unless }: Pick<FetchRequest, 'valuesUpTo' | 'unless'>,
  checksum: Checksum,
): FetchReply {
  if (stored === undefined) return { state: null };
  const { state, encoded } = stored;
  if (unless !== undefined && isAbridged(unless, encoded, state)) return { isSame: true };
  if (valuesUpTo === undefined || encoded.length <= valuesUpTo) return { state: encoded, decoded: state };
  const outline = encodeOutline(state, checksum);
  // A long vector has as many bytes in an outline.
  return outline.length < encoded.length ? { outline } : { state: encoded, decoded: state };
}

/**
 * For a request that may have been made before. With its `fingerprint` little is said of one that is new: no row of it, no version
 * that names it, and room for one.
 */
export function fetchedWithRetry(
  stored: StoredState | undefined,
  { retry, retriesFull }: { readonly retry: RetryRow | undefined; readonly retriesFull: boolean },
  fingerprint: Uint8Array | undefined,
  now: number,
): FetchReply {
  const isNew = fingerprint !== undefined && retry === undefined && !retriesFull;
  if (isNew && (stored === undefined || attemptIn(stored.state, { fingerprint }, now) === undefined)) return { isNew };
  return { state: stored?.encoded ?? null, retry: retry ?? null, retriesFull };
}

/** Whether a replica may say this to that: each of the short answers has to be asked for. */
export function isAnswerTo({ valuesUpTo, unless, fingerprint }: FetchRequest, reply: FetchReply): boolean {
  if (reply.isSame === true) return unless !== undefined;
  if (reply.isNew === true) return fingerprint !== undefined;
  return reply.outline === undefined || valuesUpTo !== undefined;
}
