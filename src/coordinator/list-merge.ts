/**
 * The pages of several replicas, merged into one. Pure. Each replica has looked at all keys of its partitions up to some
 * key, its horizon; what is before the nearest of the horizons is known in full, and only that is shown.
 */

import { compareBytes } from '#kernel/bytes.ts';

/** A key that a replica has a row of, and what its row says about it. */
export type Entry = readonly [key: Uint8Array, summary: Uint8Array];

export interface SourcePage {
  /** In the order of their keys. */
  readonly entries: readonly Entry[];
  /** The last key that was looked at; null when there are no more. */
  readonly upTo: Uint8Array | null;
}

export interface MergedPage {
  /** Every key before the horizon with what each replica says, in order. */
  readonly keys: readonly { readonly key: Uint8Array; readonly summaries: readonly Uint8Array[] }[];
  /** All keys up to this one are among them; null when those are all keys there are. */
  readonly upTo: Uint8Array | null;
}

export function mergePages(pages: readonly SourcePage[]): MergedPage {
  let upTo: Uint8Array | null = null;
  for (const page of pages) {
    if (page.upTo !== null && (upTo === null || compareBytes(page.upTo, upTo) < 0)) upTo = page.upTo;
  }
  const places = pages.map(() => 0);
  const keys: { key: Uint8Array; summaries: Uint8Array[] }[] = [];
  for (;;) {
    const least = leastKey(pages, places);
    if (least === undefined || (upTo !== null && compareBytes(least, upTo) > 0)) return { keys, upTo };
    const summaries: Uint8Array[] = [];
    for (const [i, { entries }] of pages.entries()) {
      const entry = entries[places[i]!];
      if (entry === undefined || compareBytes(entry[0], least) !== 0) continue;
      summaries.push(entry[1]);
      places[i]!++;
    }
    keys.push({ key: least, summaries });
  }
}

function leastKey(pages: readonly SourcePage[], places: readonly number[]): Uint8Array | undefined {
  let least: Uint8Array | undefined;
  for (const [i, { entries }] of pages.entries()) {
    const key = entries[places[i]!]?.[0];
    if (key !== undefined && (least === undefined || compareBytes(key, least) < 0)) least = key;
  }
  return least;
}
