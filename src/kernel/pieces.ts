/**
 * Bytes that follow each other without lying together in memory, so that a large part need not be copied to stand between its
 * neighbours. Whoever is handed them may keep them: nobody changes them any more.
 */

import { concatBytes } from './bytes.ts';

export class Pieces {
  readonly parts: readonly Uint8Array[];
  /** Of all parts together, in bytes. */
  readonly length: number;

  constructor(parts: readonly Uint8Array[]) {
    this.parts = parts;
    this.length = parts.reduce((sum, part) => sum + part.length, 0);
  }

  /** Views of the bytes from `start` up to `end`, in order. */
  between(start: number, end: number): readonly Uint8Array[] {
    const views: Uint8Array[] = [];
    let at = 0;
    for (const part of this.parts) {
      if (at >= end) break;
      if (at + part.length > start) views.push(part.subarray(Math.max(0, start - at), end - at));
      at += part.length;
    }
    return views;
  }
}

/** A copy in one piece. */
export function copied(bytes: Uint8Array | Pieces): Uint8Array {
  return bytes instanceof Pieces ? concatBytes(bytes.parts) : bytes.slice();
}
