/**
 * The rows of one table in one segment of the journal, in the order of their keys. Those that come in order, as in a log, are in
 * place at once; others are put there when somebody asks, for most tables are never asked.
 */

interface Keys {
  compareKeys(a: number, b: number): number;
}

const PLACES_MIN = 16;

export class JournalOrder {
  #sorted = new Int32Array(PLACES_MIN);
  #count = 0;
  #unsorted: number[] = [];

  add(at: number, keys: Keys): void {
    const isNext =
      this.#unsorted.length === 0 && (this.#count === 0 || keys.compareKeys(this.#sorted[this.#count - 1]!, at) < 0);
    if (!isNext) {
      this.#unsorted.push(at);
      return;
    }
    if (this.#count === this.#sorted.length) this.#resize(2 * this.#count);
    this.#sorted[this.#count++] = at;
  }

  /** The places of all rows in order; to be used before the next is added. */
  sorted(keys: Keys): Int32Array {
    if (this.#unsorted.length > 0) this.#merge(keys);
    return this.#sorted.subarray(0, this.#count);
  }

  #resize(size: number): void {
    const sorted = new Int32Array(size);
    sorted.set(this.#sorted.subarray(0, this.#count));
    this.#sorted = sorted;
  }

  /** From the end, so that it is done in place; what stands between two that are added is moved in one go. */
  #merge(keys: Keys): void {
    const added = this.#unsorted.sort((a, b) => keys.compareKeys(a, b));
    this.#unsorted = [];
    const total = this.#count + added.length;
    if (total > this.#sorted.length) this.#resize(2 * total);
    const sorted = this.#sorted;
    let from = this.#count;
    for (let next = added.length - 1; next >= 0; next--) {
      const place = this.#placeOf(added[next]!, from, keys);
      sorted.copyWithin(place + next + 1, place, from);
      sorted[place + next] = added[next]!;
      from = place;
    }
    this.#count = total;
  }

  /** How many of so many rows come before this one. */
  #placeOf(at: number, count: number, keys: Keys): number {
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (keys.compareKeys(this.#sorted[middle]!, at) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
