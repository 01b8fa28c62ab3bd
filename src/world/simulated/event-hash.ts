/**
 * A 64-bit fingerprint of all that happened, in order. Two runs of one seed must agree in it; where they do not, something
 * real (time, randomness, I/O, an unordered collection) has leaked into the simulation.
 */

export class EventHash {
  #a = 0x9e3779b9;
  #b = 0x85ebca6b;
  readonly #labels = new Map<string, number>();
  readonly #time = new Float64Array(1);
  readonly #timeBits = new Uint32Array(this.#time.buffer);

  add(time: number, label: string, detail: number): void {
    this.#time[0] = time;
    this.#fold(this.#timeBits[0]!);
    this.#fold(this.#timeBits[1]!);
    this.#fold(this.#labelHash(label));
    this.#fold(detail | 0);
  }

  /** 16 hex digits. */
  toString(): string {
    return hex(scramble(this.#a ^ (this.#b >>> 7))) + hex(scramble(this.#b ^ (this.#a >>> 5)));
  }

  #fold(value: number): void {
    this.#a = Math.imul(this.#a ^ value, 0x9e3779b1);
    this.#a = (this.#a << 13) | (this.#a >>> 19);
    this.#b = Math.imul(this.#b ^ value, 0x5f356495) + this.#a;
    this.#b = (this.#b << 17) | (this.#b >>> 15);
  }

  /** Labels are few (hosts and kinds of events), so each is hashed once. */
  #labelHash(label: string): number {
    let hash = this.#labels.get(label);
    if (hash === undefined) {
      hash = 0x811c9dc5;
      for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193);
      this.#labels.set(label, hash);
    }
    return hash;
  }
}

/** The finalizer of MurmurHash3. */
function scramble(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
