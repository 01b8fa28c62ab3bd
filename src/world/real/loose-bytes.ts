/**
 * Copies of short pieces of bytes. An array of its own outside of V8's heap for each costs more than the copying: an
 * allocation, its entry in the collector's list and its sweeping. So short copies share one, as Node.js's own buffers do; who
 * keeps one for long keeps its {@link SHARED_BYTES}.
 */

const SHARED_BYTES = 32 * 1024;
/** Longer ones get an array of their own. */
const SHORT_BYTES = 2048;
const ALIGN_MASK = 7;

export class LooseBytes {
  /** None before the first copy: there is one of these for each connection. */
  #shared = new ArrayBuffer(0);
  #used = 0;

  copy(from: Uint8Array, start: number, length: number): Uint8Array {
    if (length > SHORT_BYTES) return from.slice(start, start + length);
    if (this.#used + length > this.#shared.byteLength) {
      // What it holds does not matter: nobody sees any of it but what was copied there.
      this.#shared = Buffer.allocUnsafeSlow(SHARED_BYTES).buffer;
      this.#used = 0;
    }
    const copy = new Uint8Array(this.#shared, this.#used, length);
    this.#used += (length + ALIGN_MASK) & ~ALIGN_MASK;
    copy.set(from.subarray(start, start + length));
    return copy;
  }
}
