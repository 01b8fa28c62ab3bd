/** What a replica answers when it is asked for what it holds: the state, or its outline where that is enough. */

import { encodeOutline } from '#causality/outline.ts';
import type { Checksum } from '#kernel/native.ts';
import type { FetchReply } from './messages.ts';
import type { StoredState } from './records.ts';

export function fetched(
  stored: StoredState | undefined,
  valuesUpTo: number | undefined,
  checksum: Checksum,
): FetchReply {
  if (stored === undefined) return { state: null };
  const { state, encoded } = stored;
  if (valuesUpTo === undefined || encoded.length <= valuesUpTo) return { state: encoded, decoded: state };
  const outline = encodeOutline(state, checksum);
  // A long vector has as many bytes in an outline.
  return outline.length < encoded.length ? { outline } : { state: encoded, decoded: state };
}
