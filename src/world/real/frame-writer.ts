/**
 * The sending side of framing.ts: the queue of one connection, handed out in pieces for gathered writes.
 */

import { EMPTY_BYTES, utf8 } from '#kernel/bytes.ts';
import { Pieces } from '#kernel/pieces.ts';
import { LARGE_MESSAGE_BYTES, MAX_CLOSE_REASON_BYTES } from '#world/limits.ts';
import { CHUNK_BYTES, CLOSE, FIRST, FIRST_HEADER_BYTES, HEADER_BYTES, NEXT, WHOLE, writeHeader } from './framing.ts';

/** Up to this size a payload is copied next to its header: cheaper than one more piece in a gathered write. */
const COPIED_BYTES = 8 * 1024;
const SLAB_BYTES = 64 * 1024;
/** One batch of small messages, so that a large one in between waits no longer than for this much. */
const BATCH_BYTES = 256 * 1024;

/** Collects frames for one gathered write: what is small lies back to back in slabs, what is large stays where it is. */
class Batch {
  readonly pieces: Uint8Array[] = [];
  length = 0;
  #slab: Uint8Array;
  #start: number;
  #end: number;

  constructor(slab: Uint8Array, used: number) {
    this.#slab = slab;
    this.#start = used;
    this.#end = used;
  }

  frame(kind: number, payload: Uint8Array): void {
    const isCopied = payload.length <= COPIED_BYTES;
    const at = this.#reserve(HEADER_BYTES + (isCopied ? payload.length : 0));
    writeHeader(this.#slab, at, kind, payload.length);
    if (isCopied) this.#slab.set(payload, at + HEADER_BYTES);
    else this.#keep(payload);
    this.length += HEADER_BYTES + payload.length;
  }

  /** A frame whose payload lies in several places. */
  frameOf(kind: number, payload: readonly Uint8Array[], length: number, total?: number): void {
    const header = total === undefined ? HEADER_BYTES : FIRST_HEADER_BYTES;
    const at = this.#reserve(header);
    writeHeader(this.#slab, at, kind, length, total);
    for (const part of payload) this.#append(part);
    this.length += header + length;
  }

  #append(part: Uint8Array): void {
    if (part.length > COPIED_BYTES) return this.#keep(part);
    const at = this.#reserve(part.length);
    this.#slab.set(part, at);
  }

  #keep(part: Uint8Array): void {
    this.cut();
    this.pieces.push(part);
  }

  /** Ends the piece being built. Returns the slab and where its unused part begins. */
  cut(): { slab: Uint8Array; used: number } {
    if (this.#end > this.#start) this.pieces.push(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
    return { slab: this.#slab, used: this.#end };
  }

  #reserve(length: number): number {
    if (this.#end + length > this.#slab.length) {
      this.cut();
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#start = 0;
      this.#end = 0;
    }
    const at = this.#end;
    this.#end += length;
    return at;
  }
}

/** The messages that wait to be sent on one connection. */
export class FrameWriter {
  readonly #small: (Uint8Array | Pieces)[] = [];
  readonly #large: (Uint8Array | Pieces)[] = [];
  /** Until when each of them is wanted. */
  readonly #smallUntil: number[] = [];
  readonly #largeUntil: number[] = [];
  /** How much of the first large message has been handed out. */
  #largeSent = 0;
  #queuedBytes = 0;
  /** Written pieces may still be in the operating system's hands, so a slab is only ever filled further. */
  #slab: Uint8Array = EMPTY_BYTES;
  #slabUsed = 0;

  /** Bytes of messages that {@link next} has not handed out yet. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get smallMessages(): number {
    return this.#small.length;
  }

  get empty(): boolean {
    return this.#small.length === 0 && this.#large.length === 0;
  }

  add(message: Uint8Array | Pieces, until: number = Infinity): void {
    this.#queuedBytes += message.length;
    const isSmall = message.length <= LARGE_MESSAGE_BYTES;
    (isSmall ? this.#small : this.#large).push(message);
    (isSmall ? this.#smallUntil : this.#largeUntil).push(until);
  }

  /** Forgets what is queued except small messages. */
  dropLarge(): void {
    this.#large.length = 0;
    this.#largeUntil.length = 0;
    this.#largeSent = 0;
    this.#queuedBytes = this.#small.reduce((sum, message) => sum + message.length, 0);
  }

  /**
   * The next pieces to write, in order: small messages, then at most one chunk of a large one. What nobody wants any more by now is
   * left out, lest a slow connection carry nothing else.
   */
  next(now: number): readonly Uint8Array[] {
    const batch = new Batch(this.#slab, this.#slabUsed);
    let taken = 0;
    while (taken < this.#small.length && batch.length < BATCH_BYTES) {
      const message = this.#small[taken]!;
      if (this.#smallUntil[taken]! > now) addWhole(batch, message);
      this.#queuedBytes -= message.length;
      taken += 1;
    }
    drop(this.#small, taken);
    drop(this.#smallUntil, taken);
    this.#dropLate(now);
    this.#addChunk(batch);
    return this.#finish(batch);
  }

  /** The frame that says why this end closes. */
  closing(reason: string): readonly Uint8Array[] {
    const batch = new Batch(this.#slab, this.#slabUsed);
    batch.frame(CLOSE, utf8(reason).subarray(0, MAX_CLOSE_REASON_BYTES));
    return this.#finish(batch);
  }

  /** A large message that has begun to leave comes to its end. */
  #dropLate(now: number): void {
    if (this.#largeSent > 0) return;
    let late = 0;
    while (late < this.#large.length && this.#largeUntil[late]! <= now)
      this.#queuedBytes -= this.#large[late++]!.length;
    drop(this.#large, late);
    drop(this.#largeUntil, late);
  }

  #addChunk(batch: Batch): void {
    const message = this.#large[0];
    if (message === undefined) return;
    const end = Math.min(this.#largeSent + CHUNK_BYTES, message.length);
    const length = end - this.#largeSent;
    const chunk = partsOf(message, this.#largeSent, end);
    if (this.#largeSent === 0) batch.frameOf(FIRST, chunk, length, message.length);
    else batch.frameOf(NEXT, chunk, length);
    this.#largeSent = end;
    this.#queuedBytes -= length;
    if (end < message.length) return;
    this.#large.shift();
    this.#largeUntil.shift();
    this.#largeSent = 0;
  }

  #finish(batch: Batch): readonly Uint8Array[] {
    const { slab, used } = batch.cut();
    this.#slab = slab;
    this.#slabUsed = used;
    return batch.pieces;
  }
}

function addWhole(batch: Batch, message: Uint8Array | Pieces): void {
  if (message instanceof Pieces) batch.frameOf(WHOLE, message.parts, message.length);
  else batch.frame(WHOLE, message);
}

function partsOf(message: Uint8Array | Pieces, start: number, end: number): readonly Uint8Array[] {
  return message instanceof Pieces ? message.between(start, end) : [message.subarray(start, end)];
}

function drop(queue: unknown[], count: number): void {
  if (count === queue.length) queue.length = 0;
  else if (count > 0) queue.splice(0, count);
}
