/**
 * The requests with idempotency keys that the register of a strong key remembers, each until it cannot be sent again. Pure.
 *
 * Clients that write much would fill it. So a client may number its requests to a key, and say with each below which number all of
 * them are over: the write lets go of those (the idea of RIFL, Lee et al., SOSP 2015). A copy of one of them may still be about,
 * in the buffers of a node that stood still say. Nobody may take it for a new request, so what was said is kept as well, in the row
 * of the request that said it: rows are let go of by a request that says more, whose own row stays for longer.
 */

import type { Dot } from '#causality/dot.ts';
import { windowEnd, type Numbered, type RequestMark } from '#causality/repeats.ts';
import { equalBytes } from '#kernel/bytes.ts';
import type { RetryRow } from '#replica/retry-codec.ts';

/** Requests that one key remembers. */
export const KEYED_MAX = 1024;

export type Earlier =
  /** It was carried out, and got this dot. */
  | { readonly kind: 'made'; readonly dot: Dot }
  /** Another request bears its key. */
  | { readonly kind: 'idempotency-mismatch' }
  /** Its client waits for it no more; whether it was carried out is not known any more. */
  | { readonly kind: 'given-up' };

/** What is known of the request; undefined when it is new. */
export function earlierRequest(
  rows: readonly RetryRow[],
  { id, fingerprint, numbered }: RequestMark,
): Earlier | undefined {
  const same = rows.find((row) => equalBytes(row.id, id));
  if (same !== undefined) {
    return equalBytes(same.fingerprint, fingerprint)
      ? { kind: 'made', dot: same.dot }
      : { kind: 'idempotency-mismatch' };
  }
  return numbered !== undefined && rows.some((row) => isBelow(numbered, row.numbered))
    ? { kind: 'given-up' }
    : undefined;
}

/** Without the rows of those requests that are over by what this one says. */
export function stillAwaited(rows: readonly RetryRow[], says: Numbered | undefined): readonly RetryRow[] {
  if (says === undefined || says.answeredBelow === 0) return rows;
  return rows.filter(({ numbered }) => numbered === undefined || !isBelow(numbered, says));
}

/** Of a request that says nothing of others nothing may be let go of either: some node may not know what is said. */
export function rowFor({ id, fingerprint, numbered }: RequestMark, dot: Dot): RetryRow {
  const row = { id, fingerprint, dot, until: windowEnd(dot) };
  return numbered === undefined || numbered.answeredBelow === 0 ? row : { ...row, numbered };
}

/** Whether the request is one of those that are over by what another says. */
function isBelow({ series, number }: Numbered, says: Numbered | undefined): boolean {
  return says !== undefined && number < says.answeredBelow && equalBytes(series, says.series);
}
