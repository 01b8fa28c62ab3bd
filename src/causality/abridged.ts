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

/** Undefined for a state that has not just one version, or one with a value of less than so many bytes. */
export function abridged(encoded: Uint8Array, state: State, from: number): Uint8Array | undefined {
  const value = valueBytes(state);
  if (state.versions.length !== 1 || value < from) return undefined;
  const check = encoded.length - CHECK_BYTES;
  const head = check - value;
  const bytes = encoded.slice(0, head + CHECK_BYTES);
  for (let i = 0; i < CHECK_BYTES; i++) bytes[head + i] = encoded[check + i]!;
  return bytes;
}

/** Whether `known` is what {@link abridged} makes of this state. */
export function isAbridged(known: Uint8Array, encoded: Uint8Array, state: State): boolean {
  const check = encoded.length - CHECK_BYTES;
  const head = check - valueBytes(state);
  if (state.versions.length !== 1 || known.length !== head + CHECK_BYTES) return false;
  for (let i = 0; i < head; i++) if (known[i] !== encoded[i]) return false;
  for (let i = 0; i < CHECK_BYTES; i++) if (known[head + i] !== encoded[check + i]) return false;
  return true;
}

/** Of the only version: its value stands last in the encoded state, but for the check. */
function valueBytes({ versions }: State): number {
  return versions.length === 1 ? (versions[0]!.content?.value.length ?? 0) : 0;
}
