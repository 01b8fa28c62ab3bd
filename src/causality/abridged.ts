/**
 * An encoded state of one version without its value: enough to tell whether another replica has the same, at a small part of the
 * bytes. All else of a state is in it, the length of the value and its check included. A dot names its content for ever, so two states that
 * are the same but for the value have the same value; the check is there for those that should not exist, of a damaged row or a
 * restored disk.
 *
 * It is compared byte by byte and never read, so it needs no format of its own: equal states have equal bytes (state-codec.ts).
 */

import type { State } from './state.ts';
import { CHECK_BYTES } from './state-codec.ts';

export interface Abridged {
  /** What stands before the value. Where it was made it is a part of the encoded state. */
  readonly head: Uint8Array;
  /** What stands behind it. */
  readonly check: number;
}

/**
 * Undefined for a state that has not just one version, and where the value has not so many bytes more than all else: metadata and
 * vectors can be long.
 */
export function abridged(encoded: Uint8Array, state: State, leastSaved: number): Abridged | undefined {
  const value = valueBytes(state);
  const head = encoded.length - CHECK_BYTES - value;
  if (state.versions.length !== 1 || value - head < leastSaved) return undefined;
  return { head: encoded.subarray(0, head), check: checkOf(encoded) };
}

/** Whether `known` is what {@link abridged} makes of this state. */
export function isAbridged({ head, check }: Abridged, encoded: Uint8Array, state: State): boolean {
  if (state.versions.length !== 1 || head.length !== encoded.length - CHECK_BYTES - valueBytes(state)) return false;
  for (let i = 0; i < head.length; i++) if (head[i] !== encoded[i]) return false;
  return check === checkOf(encoded);
}

/** The last bytes, as an unsigned number. */
function checkOf(encoded: Uint8Array): number {
  const at = encoded.length - CHECK_BYTES;
  return ((encoded[at]! << 24) | (encoded[at + 1]! << 16) | (encoded[at + 2]! << 8) | encoded[at + 3]!) >>> 0;
}

/** Of the only version: its value stands last in the encoded state, but for the check. */
function valueBytes({ versions }: State): number {
  return versions.length === 1 ? (versions[0]!.content?.value.length ?? 0) : 0;
}
