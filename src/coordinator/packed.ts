/**
 * MessagePack written and read by hand, for the few stored forms that every vote on a strong key makes and looks at. The bytes are
 * those of wire/codec.ts, without a tree of values in between. A reader that meets something unforeseen says so, and its caller then
 * reads the same bytes by the codec, which takes every form and tells what is wrong.
 */

import { assert } from '#kernel/assert.ts';
import { EMPTY_BYTES } from '#kernel/bytes.ts';

const TWO_POW_32 = 2 ** 32;

/** What the elements take at most, in bytes. */
export const INTEGER_BYTES = 9;
export const HEAD_BYTES = 5;

/** A piece of memory for many writers: one of its own for each of a thousand bytes costs more than to write them. */
interface Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  used: number;
}

const SLAB_BYTES = 64 * 1024;
/** What is longer gets memory of its own, so that whoever keeps it keeps nothing else. */
const SHARED_MAX = 8 * 1024;

let slab = slabOf(SLAB_BYTES);

function slabOf(length: number): Slab {
  const bytes = new Uint8Array(length);
  return { bytes, view: new DataView(bytes.buffer), used: 0 };
}

/** Memory for so many bytes, which nobody else writes to. */
function room(capacity: number): Slab {
  if (capacity > SHARED_MAX) return slabOf(capacity);
  if (slab.used + capacity > SLAB_BYTES) slab = slabOf(SLAB_BYTES);
  return slab;
}

/** The bytes that it writes are a part of a larger buffer, which lives as long as they do. */
export class PackedWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #start: number;
  readonly #limit: number;
  #end: number;

  /** `capacity`: no less than what will be written. */
  constructor(capacity: number) {
    const taken = room(capacity);
    this.#bytes = taken.bytes;
    this.#view = taken.view;
    this.#start = taken.used;
    this.#end = taken.used;
    taken.used += capacity;
    this.#limit = taken.used;
  }

  nil(): void {
    this.#bytes[this.#end++] = 0xc0;
  }

  true(): void {
    this.#bytes[this.#end++] = 0xc3;
  }

  /** The head of an array of so many elements, at most 65,535. */
  array(elements: number): void {
    if (elements < 16) this.#bytes[this.#end++] = 0x90 | elements;
    else {
      this.#bytes[this.#end] = 0xdc;
      this.#view.setUint16(this.#end + 1, elements);
      this.#end += 3;
    }
  }

  /** A whole number from 0 to 2^53-1. */
  integer(value: number): void {
    const at = this.#end;
    if (value < 0x80) {
      this.#bytes[at] = value;
      this.#end = at + 1;
    } else if (value < 0x100) {
      this.#bytes[at] = 0xcc;
      this.#bytes[at + 1] = value;
      this.#end = at + 2;
    } else if (value < 0x10000) {
      this.#bytes[at] = 0xcd;
      this.#view.setUint16(at + 1, value);
      this.#end = at + 3;
    } else if (value < TWO_POW_32) {
      this.#bytes[at] = 0xce;
      this.#view.setUint32(at + 1, value);
      this.#end = at + 5;
    } else {
      this.#bytes[at] = 0xcb;
      this.#view.setFloat64(at + 1, value);
      this.#end = at + 9;
    }
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#end;
    const { length } = bytes;
    if (length < 0x100) {
      this.#bytes[at] = 0xc4;
      this.#bytes[at + 1] = length;
      this.#end = at + 2;
    } else if (length < 0x10000) {
      this.#bytes[at] = 0xc5;
      this.#view.setUint16(at + 1, length);
      this.#end = at + 3;
    } else {
      this.#bytes[at] = 0xc6;
      this.#view.setUint32(at + 1, length);
      this.#end = at + 5;
    }
    this.raw(bytes);
  }

  /** One element, or several, that are packed already. */
  raw(packed: Uint8Array): void {
    this.#bytes.set(packed, this.#end);
    this.#end += packed.length;
  }

  /** Four bytes that are no element, the most significant first. */
  u32(value: number): void {
    this.#view.setUint32(this.#end, value);
    this.#end += 4;
  }

  /** A view of what was written so far. */
  written(): Uint8Array {
    // Beyond it begins what the next one writes.
    assert(this.#end <= this.#limit, 'a packed form fits into its capacity');
    return this.#bytes.subarray(this.#start, this.#end);
  }
}

/** Reads what a {@link PackedWriter} has written. After anything else it is no longer {@link PackedReader.ok}. */
export class PackedReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** False from the first element on that was none of the kind that was asked for; what was read since means nothing. */
  ok = true;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Whether everything has been read, and was as it was expected. */
  get complete(): boolean {
    return this.ok && this.#at === this.#bytes.length;
  }

  /** Passes a nil, if that comes next. */
  nil(): boolean {
    if (this.#bytes[this.#at] !== 0xc0) return false;
    this.#at++;
    return true;
  }

  /** Passes the head of an array of exactly so many elements, fewer than 16, or of up to so many more. */
  array(elements: number, more = 0): void {
    const token = this.#bytes[this.#at++] ?? 0;
    if (token < (0x90 | elements) || token > (0x90 | (elements + more))) this.ok = false;
  }

  integer(): number {
    const token = this.#bytes[this.#at++] ?? 0xc0;
    if (token < 0x80) return token;
    switch (token) {
      case 0xcc:
        return this.#unsigned(1);
      case 0xcd:
        return this.#unsigned(2);
      case 0xce:
        return this.#unsigned(4);
      case 0xcb:
        return this.#float();
      default:
        return this.#fails();
    }
  }

  /** A view. */
  bytes(): Uint8Array {
    const token = this.#bytes[this.#at++];
    const length =
      token === 0xc4
        ? this.#unsigned(1)
        : token === 0xc5
          ? this.#unsigned(2)
          : token === 0xc6
            ? this.#unsigned(4)
            : this.#fails();
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#bytes.length) this.ok = false;
    return this.ok ? this.#bytes.subarray(start, this.#at) : EMPTY_BYTES;
  }

  #unsigned(length: number): number {
    let value = 0;
    for (let i = 0; i < length; i++) value = value * 256 + (this.#bytes[this.#at + i] ?? this.#fails());
    this.#at += length;
    return value;
  }

  #float(): number {
    if (this.#at + 8 > this.#bytes.length) return this.#fails();
    const { buffer, byteOffset } = this.#bytes;
    const value = new DataView(buffer, byteOffset + this.#at, 8).getFloat64(0);
    this.#at += 8;
    return Number.isSafeInteger(value) && value >= 0 ? value : this.#fails();
  }

  #fails(): number {
    this.ok = false;
    return 0;
  }
}
