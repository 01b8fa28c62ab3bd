/**
 * As which actors this node mints in the place of owners. A new one for each write would be safe, but every vector of the key
 * would know it for as long as the key lives: a key that is written a thousand times while its owners are away would have a
 * context that no HTTP client takes any more, and some thousands later it could not be written at all. So a write goes on as the
 * actor of the one before it, for the same key, when what it is minted upon knows the last dot of that: whoever knows that knows all
 * that it was minted upon, and so all that this actor has ever minted.
 *
 * Kept in memory: another process begins others.
 */

import type { Actor, Dot } from '#causality/dot.ts';
import type { VersionVector } from '#causality/state.ts';
import { counterOf, covers } from '#causality/vector.ts';
import { toHex } from '#kernel/bytes.ts';
import type { Place } from '#replica/records.ts';

/** Keys whose last actor is remembered; those longest without a write are forgotten first. */
const KEYS_MAX = 1024;

export type InPlaceKey = Pick<Place, 'bucket' | 'incarnation'> & { readonly key: Uint8Array };

export class InPlaceActors {
  /** The last dot of each key that was minted here in the place of owners, whatever has become of it. */
  readonly #last = new Map<string, Dot>();

  /** The actor to go on as, when all that it has minted for the key is known to `vector`. */
  goingOn(key: InPlaceKey, vector: VersionVector): Actor | undefined {
    const last = this.#last.get(nameOf(key));
    return last !== undefined && covers(vector, last) && counterOf(vector, last) <= last.counter ? last : undefined;
  }

  /** To be told of each dot before anybody else may hear of it, also when it comes to nothing in the end. */
  minted(key: InPlaceKey, dot: Dot): void {
    const name = nameOf(key);
    this.#last.delete(name);
    this.#last.set(name, dot);
    if (this.#last.size <= KEYS_MAX) return;
    for (const oldest of this.#last.keys()) {
      this.#last.delete(oldest);
      return;
    }
  }
}

function nameOf({ bucket, incarnation, key }: InPlaceKey): string {
  return `${bucket} ${incarnation} ${toHex(key)}`;
}
