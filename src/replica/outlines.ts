/**
 * Outlines of large rows that were read: most reads want the values of a key from one owner and the outline from the others, which
 * would read all of the row for it. One is forgotten as soon as a transaction touches its row.
 */

import { equalBytes } from '#kernel/bytes.ts';

/** Outlines with the names of their rows. */
const BYTES_MAX = 1024 * 1024;
/** What each takes beside its bytes, about. */
const ENTRY_BYTES = 200;

interface Entry {
  readonly rowKey: Uint8Array;
  readonly outline: Uint8Array;
  /** Of the row. */
  readonly bytes: number;
}

export class Outlines {
  /** By a hash of the row's name, the oldest first; of two rows that share one the later is remembered. */
  readonly #entries = new Map<number, Entry>();
  #bytes = 0;

  /** The outline of the row, if it is known and the row has more than so many bytes. */
  get(rowKey: Uint8Array, bytes: number): Uint8Array | undefined {
    if (this.#entries.size === 0) return undefined;
    const entry = this.#entries.get(hashOf(rowKey));
    return entry !== undefined && entry.bytes > bytes && equalBytes(entry.rowKey, rowKey) ? entry.outline : undefined;
  }

  /** The row of so many bytes has this outline. */
  keep(rowKey: Uint8Array, bytes: number, outline: Uint8Array): void {
    this.forget(rowKey);
    const entry = { rowKey, outline, bytes };
    this.#entries.set(hashOf(rowKey), entry);
    this.#bytes += sizeOf(entry);
    for (const [hash, oldest] of this.#entries) {
      if (this.#bytes <= BYTES_MAX) return;
      this.#entries.delete(hash);
      this.#bytes -= sizeOf(oldest);
    }
  }

  /** The row may change. */
  forget(rowKey: Uint8Array): void {
    if (this.#entries.size === 0) return;
    const hash = hashOf(rowKey);
    const entry = this.#entries.get(hash);
    if (entry === undefined) return;
    this.#entries.delete(hash);
    this.#bytes -= sizeOf(entry);
  }
}

function sizeOf({ rowKey, outline }: Entry): number {
  return rowKey.length + outline.length + ENTRY_BYTES;
}

function hashOf(rowKey: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < rowKey.length; i++) hash = Math.imul(hash ^ rowKey[i]!, 0x01000193);
  return hash >>> 2;
}
