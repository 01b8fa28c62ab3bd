/**
 * The pieces of a body as they come. Most bodies come in one or a few, which stay as they are until all are there; but a client may
 * cut its body into single bytes, and each piece by itself takes a hundred times as much and keeps the memory that it was read into. So
 * when there are many, small ones are copied behind each other.
 */

/** So many pieces stay as they came, however small they are. */
const LOOSE_MAX = 16;
/** A piece of this size is worth its object. */
const LARGE_BYTES = 4096;
const BLOCK_BYTES = 16 * 1024;

export class BodyParts {
  readonly #parts: Uint8Array[] = [];
  #length = 0;
  /** What small pieces are copied into, and how much of it is taken. */
  #block: Uint8Array | undefined;
  #taken = 0;

  get length(): number {
    return this.#length;
  }

  /** Pieces that are kept as objects of their own. */
  get count(): number {
    return this.#parts.length;
  }

  add(part: Uint8Array): void {
    this.#length += part.length;
    if (part.length >= LARGE_BYTES || this.#parts.length < LOOSE_MAX) {
      this.#endBlock();
      this.#parts.push(part);
      return;
    }
    if (this.#block !== undefined && this.#taken + part.length > BLOCK_BYTES) this.#endBlock();
    this.#block ??= new Uint8Array(BLOCK_BYTES);
    this.#block.set(part, this.#taken);
    this.#taken += part.length;
  }

  /** A plain byte array: Node's own kind of them behaves differently when it is sliced. */
  joined(): Uint8Array {
    this.#endBlock();
    const [first] = this.#parts;
    if (first !== undefined && this.#parts.length === 1) {
      return new Uint8Array(first.buffer, first.byteOffset, first.length);
    }
    const whole = new Uint8Array(this.#length);
    let offset = 0;
    for (const part of this.#parts) {
      whole.set(part, offset);
      offset += part.length;
    }
    return whole;
  }

  #endBlock(): void {
    if (this.#block === undefined) return;
    const isFull = 2 * this.#taken >= BLOCK_BYTES;
    this.#parts.push(isFull ? this.#block.subarray(0, this.#taken) : this.#block.slice(0, this.#taken));
    this.#block = undefined;
    this.#taken = 0;
  }
}
