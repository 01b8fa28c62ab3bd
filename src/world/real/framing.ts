/**
 * How messages share a byte stream. A frame is a header of four bytes, its kind and the length of what follows, then the
 * payload. Up to 64 KiB a message is one frame. A larger one is cut into chunks, one large message after the other, and
 * whatever small messages are waiting go between two chunks: a ping never waits for more than one chunk of a transfer.
 *
 *     whole  01 | length u24 | message
 *     first  02 | length u24 | total u32 | chunk      opens a large message
 *     next   03 | length u24 | chunk                  continues it until `total` bytes are there
 *     close  04 | length u24 | reason in UTF-8        the sender has closed; nothing follows
 *
 * There is one way to write a given message: every chunk but the last is exactly 64 KiB long. All numbers big-endian.
 * Pure: bytes in, bytes out.
 */

import { LARGE_MESSAGE_BYTES } from '#world/limits.ts';

export const WHOLE = 1;
export const FIRST = 2;
export const NEXT = 3;
export const CLOSE = 4;

export const HEADER_BYTES = 4;
export const FIRST_HEADER_BYTES = 8;
export const CHUNK_BYTES = LARGE_MESSAGE_BYTES;

/** `total` only for the kind {@link FIRST}, whose header is longer by it. */
export function writeHeader(into: Uint8Array, at: number, kind: number, length: number, total?: number): void {
  into[at] = kind;
  into[at + 1] = length >>> 16;
  into[at + 2] = length >>> 8;
  into[at + 3] = length;
  if (total === undefined) return;
  into[at + 4] = total >>> 24;
  into[at + 5] = total >>> 16;
  into[at + 6] = total >>> 8;
  into[at + 7] = total;
}
