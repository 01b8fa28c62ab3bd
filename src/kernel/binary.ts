/**
 * Writing and reading of compact binary forms: fixed-width numbers, variable-length numbers, and byte strings that carry
 * their length. Every number has exactly one accepted form, so equal values have equal bytes and a form can be hashed.
 */

import { fromUtf8, utf8 } from './bytes.ts';

/** The bytes are not what a {@link ByteWriter} would have written. */
export class MalformedBytes extends RangeError {
  override readonly name: string = 'MalformedBytes';
}

/** The bytes end before what is being read does. */
export class TruncatedBytes extends MalformedBytes {
  override readonly name = 'TruncatedBytes';
}

/** What {@link ByteWriter.varint} takes, in bytes: 1 for 0-127, 8 for the largest safe integers. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let bound = 128; value >= bound; bound *= 128) bytes++;
  return bytes;
}

/** Lengths of this and less are copied byte by byte, where the call of a native copy costs more than the copy. */
const SHORT = 32;
const TWO_POW_28 = 2 ** 28;

/** The short texts read last, by their lengths: the same few names and types come again and again, and are not made anew. */
const lastTexts: (string | undefined)[] = Array.from({ length: SHORT + 1 });

/** A buffer that grows as it is written. Give the final size as `capacity` when it is known: then nothing is copied. */
export class ByteWriter {
  #buffer: Uint8Array;
  #length = 0;

  constructor(capacity = 64) {
    this.#buffer = new Uint8Array(capacity);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** The lowest 8 bits of the value. */
  u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  /** Four bytes, most significant first. */
  u32(value: number): void {
    this.#reserve(4);
    const buffer = this.#buffer;
    buffer[this.#length++] = value >>> 24;
    buffer[this.#length++] = value >>> 16;
    buffer[this.#length++] = value >>> 8;
    buffer[this.#length++] = value;
  }

  /** Groups of 7 bits, least significant first, the top bit set on all but the last (LEB128). */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`varint ${value}: a whole number, 0 to 2^53-1`);
    if (this.#length + 8 > this.#buffer.length) this.#reserve(varintBytes(value));
    const buffer = this.#buffer;
    let rest = value;
    // Bit operations know 32 bits only, so a large number is written as its lower four groups and what is above them.
    if (rest >= TWO_POW_28) {
      const high = Math.floor(rest / TWO_POW_28);
      const low = rest - high * TWO_POW_28;
      rest = high;
      buffer[this.#length++] = low | 0x80;
      buffer[this.#length++] = (low >>> 7) | 0x80;
      buffer[this.#length++] = (low >>> 14) | 0x80;
      buffer[this.#length++] = (low >>> 21) | 0x80;
    }
    for (; rest > 0x7f; rest >>>= 7) buffer[this.#length++] = rest | 0x80;
    buffer[this.#length++] = rest;
  }

  /** The bytes as they are, without their length. */
  raw(bytes: Uint8Array): void {
    const start = this.#length;
    this.#reserve(bytes.length);
    if (bytes.length > SHORT) this.#buffer.set(bytes, start);
    else for (let i = 0; i < bytes.length; i++) this.#buffer[start + i] = bytes[i]!;
    this.#length = start + bytes.length;
  }

  /** The length as a varint, then the bytes. */
  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** The text as UTF-8, in the form of {@link bytes}. Throws RangeError for a lone surrogate, which has no UTF-8. */
  text(text: string): void {
    for (let i = 0; i < text.length; i++) {
      if (text.charCodeAt(i) <= 0x7f) continue;
      if (!text.isWellFormed()) throw new RangeError(`text with a lone surrogate: ${JSON.stringify(text)}`);
      this.bytes(utf8(text));
      return;
    }
    this.varint(text.length);
    this.#reserve(text.length);
    for (let i = 0; i < text.length; i++) this.#buffer[this.#length++] = text.charCodeAt(i);
  }

  /** A view of what was written from `start` on; only valid until the next write. */
  written(start: number): Uint8Array {
    return this.#buffer.subarray(start, this.#length);
  }

  /** What was written. The writer must not be used afterwards, for it shares its buffer with the answer. */
  finish(): Uint8Array {
    return this.#length === this.#buffer.length ? this.#buffer : this.#buffer.subarray(0, this.#length);
  }

  /** Forgets what was written, so that the buffer serves anew: what was {@link written} is not valid any more. */
  clear(): void {
    this.#length = 0;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, needed));
    grown.set(this.written(0));
    this.#buffer = grown;
  }
}

/** Reads what a {@link ByteWriter} wrote, from front to back. Whatever it throws is a {@link MalformedBytes}. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset;
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  u32(): number {
    const at = this.#take(4);
    const bytes = this.#bytes;
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let group = 0; group < 8; group++) {
      const byte = this.u8();
      if (byte > 0x7f) {
        value += (byte - 0x80) * scale;
        scale *= 0x80;
        continue;
      }
      if (byte === 0 && group > 0) throw new MalformedBytes(`number with a needless zero at byte ${this.#offset - 1}`);
      value += byte * scale;
      if (value > Number.MAX_SAFE_INTEGER) break;
      return value;
    }
    throw new MalformedBytes(`number above 2^53-1 before byte ${this.#offset}`);
  }

  /** A view of the next `length` bytes. */
  raw(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** A view of a byte string that carries its length. */
  bytes(): Uint8Array {
    return this.raw(this.varint());
  }

  /** A text written by {@link ByteWriter.text}. */
  text(): string {
    const length = this.varint();
    const start = this.#take(length);
    if (length > SHORT) return this.#decode(start, length);
    const known = lastTexts[length];
    if (known !== undefined && this.#isAscii(known, start)) return known;
    const text = this.#decode(start, length);
    lastTexts[length] = text;
    return text;
  }

  /** A view of what was read since the offset `start`. */
  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.#offset);
  }

  /** Throws unless everything was read. */
  end(): void {
    const left = this.#bytes.length - this.#offset;
    if (left !== 0) throw new MalformedBytes(`${left} bytes too many, from byte ${this.#offset} on`);
  }

  /** Whether the text, in ASCII, stands at that offset; of others `false`. */
  #isAscii(text: string, start: number): boolean {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f || unit !== this.#bytes[start + i]) return false;
    }
    return true;
  }

  #decode(start: number, length: number): string {
    try {
      return fromUtf8(this.#bytes.subarray(start, start + length));
    } catch (cause) {
      throw new MalformedBytes(`text that is not UTF-8 at byte ${start}`, { cause });
    }
  }

  #take(length: number): number {
    const start = this.#offset;
    if (start + length > this.#bytes.length) {
      throw new TruncatedBytes(`${length} bytes wanted at byte ${start} of ${this.#bytes.length}`);
    }
    this.#offset = start + length;
    return start;
  }
}
