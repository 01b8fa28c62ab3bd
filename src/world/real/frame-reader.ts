/**
 * The receiving side of framing.ts: whatever pieces the stream comes in, whole messages come out, each a copy, so that
 * keeping one does not keep a receive buffer alive. Anything that a correct sender would not write is a violation;
 * memory is claimed only for lengths that have been checked.
 */

import { MAX_CLOSE_REASON_BYTES, MAX_MESSAGE_BYTES } from '#world/limits.ts';
import { CHUNK_BYTES, CLOSE, FIRST, FIRST_HEADER_BYTES, HEADER_BYTES, NEXT, WHOLE } from './framing.ts';
import { LooseBytes } from './loose-bytes.ts';

/** Large messages being put together, over all connections of a node: one a connection, and so many bytes in all. */
export class ReassemblyBudget {
  readonly #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  claim(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#maxBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

export interface FrameEvents {
  message(message: Uint8Array): void;
  /** Whether a large message may come now. Always without it. */
  takesLarge?(): boolean;
  /** The other end has closed. The reader is stopped. */
  closing(reason: string): void;
  /** The bytes are not what a correct sender writes. The reader is stopped. */
  violation(reason: string): void;
}

export class FrameReader {
  readonly #events: FrameEvents;
  readonly #budget: ReassemblyBudget;
  readonly #copies = new LooseBytes();
  #stopped = false;
  readonly #header = new Uint8Array(FIRST_HEADER_BYTES);
  #headerLength = 0;
  /** Where the payload of the frame under way goes, when it did not come in one piece. */
  #target: Uint8Array | undefined;
  #targetAt = 0;
  /** Payload bytes of the frame under way that have not come yet. */
  #left = 0;
  /** The large message being put together, and how much of it is there. */
  #large: Uint8Array | undefined;
  #largeAt = 0;

  constructor(budget: ReassemblyBudget, events: FrameEvents) {
    this.#budget = budget;
    this.#events = events;
  }

  /** No event follows, and what was being put together is released. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#target = undefined;
    this.#dropLarge();
  }

  push(received: Uint8Array): void {
    // A plain view: slices of a host's buffer class would share its memory.
    const bytes = new Uint8Array(received.buffer, received.byteOffset, received.length);
    let at = 0;
    while (at < bytes.length && !this.#stopped) {
      at = this.#left === 0 ? this.#takeHeader(bytes, at) : this.#takePayload(bytes, at);
    }
  }

  #takeHeader(bytes: Uint8Array, start: number): number {
    const header = this.#header;
    let at = start;
    while (this.#headerLength < HEADER_BYTES && at < bytes.length) header[this.#headerLength++] = bytes[at++]!;
    if (this.#headerLength < HEADER_BYTES) return at;
    if (header[0] === FIRST) {
      while (this.#headerLength < FIRST_HEADER_BYTES && at < bytes.length) header[this.#headerLength++] = bytes[at++]!;
      if (this.#headerLength < FIRST_HEADER_BYTES) return at;
    }
    this.#headerLength = 0;
    const length = (header[1]! << 16) | (header[2]! << 8) | header[3]!;
    return this.#begin(header[0]!, length, bytes, at);
  }

  #begin(kind: number, length: number, bytes: Uint8Array, at: number): number {
    switch (kind) {
      case WHOLE:
        return this.#beginWhole(length, bytes, at);
      case FIRST:
        this.#beginLarge(length);
        return at;
      case NEXT:
        this.#continueLarge(length);
        return at;
      case CLOSE:
        return this.#beginClose(length, at);
      default:
        this.#violate(`frame of unknown kind ${kind}`);
        return at;
    }
  }

  #beginWhole(length: number, bytes: Uint8Array, at: number): number {
    if (length > CHUNK_BYTES) {
      this.#violate(`whole frame of ${length} bytes, allowed are ${CHUNK_BYTES}`);
      return at;
    }
    const end = at + length;
    if (end <= bytes.length) {
      this.#events.message(this.#copies.copy(bytes, at, length));
      return end;
    }
    this.#expect(new Uint8Array(length), 0, length);
    return at;
  }

  #beginLarge(length: number): void {
    const header = this.#header;
    const total = ((header[4]! << 24) | (header[5]! << 16) | (header[6]! << 8) | header[7]!) >>> 0;
    if (this.#large !== undefined) this.#violate('a large message inside another');
    else if (total > MAX_MESSAGE_BYTES) this.#violate(`message of ${total} bytes, allowed are ${MAX_MESSAGE_BYTES}`);
    else if (total <= CHUNK_BYTES) this.#violate(`message of ${total} bytes cut into chunks`);
    else if (length !== CHUNK_BYTES) this.#violate(`first chunk of ${length} bytes instead of ${CHUNK_BYTES}`);
    else if (this.#events.takesLarge?.() === false) this.#violate('a large message before the other end is known');
    else if (!this.#budget.claim(total)) this.#violate('too many large messages at once');
    else {
      this.#large = new Uint8Array(total);
      this.#largeAt = 0;
      this.#expect(this.#large, 0, length);
    }
  }

  #continueLarge(length: number): void {
    if (this.#large === undefined) {
      this.#violate('a chunk that belongs to no message');
      return;
    }
    const due = Math.min(CHUNK_BYTES, this.#large.length - this.#largeAt);
    if (length !== due) this.#violate(`chunk of ${length} bytes instead of ${due}`);
    else this.#expect(this.#large, this.#largeAt, length);
  }

  #beginClose(length: number, at: number): number {
    if (length > MAX_CLOSE_REASON_BYTES) {
      this.#violate(`close frame of ${length} bytes, allowed are ${MAX_CLOSE_REASON_BYTES}`);
    } else if (length === 0) this.#close(new Uint8Array(0));
    else this.#expect(new Uint8Array(length), 0, length);
    return at;
  }

  #expect(target: Uint8Array, at: number, length: number): void {
    this.#target = target;
    this.#targetAt = at;
    this.#left = length;
  }

  #takePayload(bytes: Uint8Array, at: number): number {
    const target = this.#target!;
    const end = Math.min(at + this.#left, bytes.length);
    target.set(bytes.subarray(at, end), this.#targetAt);
    this.#targetAt += end - at;
    this.#left -= end - at;
    if (this.#left === 0) this.#complete(target);
    return end;
  }

  #complete(target: Uint8Array): void {
    this.#target = undefined;
    if (this.#header[0] === CLOSE) this.#close(target);
    else if (target !== this.#large) this.#events.message(target);
    else {
      this.#largeAt = this.#targetAt;
      if (this.#largeAt < target.length) return;
      this.#dropLarge();
      this.#events.message(target);
    }
  }

  #dropLarge(): void {
    if (this.#large !== undefined) this.#budget.release(this.#large.length);
    this.#large = undefined;
  }

  #close(reason: Uint8Array): void {
    this.stop();
    this.#events.closing(printable(reason));
  }

  #violate(reason: string): void {
    this.stop();
    this.#events.violation(reason);
  }
}

/** The reason goes into logs, so it must not bring control characters or broken text along. */
function printable(reason: Uint8Array): string {
  return new TextDecoder().decode(reason).replace(/[\p{Cc}\p{Cs}\uFFFD]/gu, '?');
}
