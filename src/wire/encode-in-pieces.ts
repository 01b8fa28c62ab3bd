/**
 * The bytes of {@link encode}, where a large byte string is a piece of its own: the one that was given, not a copy. A copy of a
 * value of 4 MiB takes milliseconds of the event loop, and a write makes one for each owner; msgpackr takes four times the memory
 * for it besides. What comes out is the same on the wire.
 */

import { concatBytes } from '#kernel/bytes.ts';
import { Pieces } from '#kernel/pieces.ts';
import { encode } from './codec.ts';

/** From this length on a byte string is not copied; the copy of a shorter one costs less than one more piece. */
export const PIECE_BYTES = 32 * 1024;

/** In pieces if it holds anything large, which must then not be changed any more, as long as anybody has them. */
export function encodeInPieces(value: unknown): Uint8Array | Pieces {
  if (!holdsLarge(value)) return encode(value);
  const writer = new PieceWriter();
  writer.write(value);
  return writer.finish();
}

/** A small part of a large memory is copied: else what waits to be sent would hold much more than its own length. */
function isLarge(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length >= PIECE_BYTES && 2 * value.length >= value.buffer.byteLength;
}

function holdsLarge(value: unknown): boolean {
  if (!Array.isArray(value)) return isLarge(value);
  // Every message is looked through like this.
  for (let i = 0; i < value.length; i++) {
    const element: unknown = value[i];
    if (typeof element === 'object' && holdsLarge(element)) return true;
  }
  return false;
}

class PieceWriter {
  readonly #parts: Uint8Array[] = [];
  /** What lies between the last large piece and the next. */
  #small: Uint8Array[] = [];

  finish(): Pieces {
    this.#endSmall();
    return new Pieces(this.#parts);
  }

  /** Something that is large, or that holds something large. */
  write(value: unknown): void {
    if (isLarge(value)) {
      this.#small.push(bytesHead(value.length));
      this.#endSmall();
      this.#parts.push(value);
    } else this.#array(value as readonly unknown[]);
  }

  #array(elements: readonly unknown[]): void {
    this.#small.push(arrayHead(elements.length));
    let start = 0;
    for (const [i, element] of elements.entries()) {
      if (!holdsLarge(element)) continue;
      this.#run(elements.slice(start, i));
      this.write(element);
      start = i + 1;
    }
    this.#run(elements.slice(start));
  }

  /** Elements of an array with nothing large in them: encoded as an array of their own, less its head. */
  #run(elements: readonly unknown[]): void {
    if (elements.length > 0) this.#small.push(encode(elements).subarray(arrayHead(elements.length).length));
  }

  #endSmall(): void {
    if (this.#small.length > 0) this.#parts.push(concatBytes(this.#small));
    this.#small = [];
  }
}

function arrayHead(length: number): Uint8Array {
  if (length < 0x10) return Uint8Array.of(0x90 | length);
  if (length < 0x10000) return Uint8Array.of(0xdc, length >>> 8, length);
  return Uint8Array.of(0xdd, length >>> 24, length >>> 16, length >>> 8, length);
}

/** Of a byte string that is not short. */
function bytesHead(length: number): Uint8Array {
  if (length < 0x10000) return Uint8Array.of(0xc5, length >>> 8, length);
  return Uint8Array.of(0xc6, length >>> 24, length >>> 16, length >>> 8, length);
}
