/**
 * Values that soon come and go, such as calls and arrivals, by numbers that are given one after the other: nearly always a
 * number's place in one array, by its lowest bits, is free.
 *
 * A Map would do the same and cost the garbage collector dearly. A table that a Map has outgrown, or was cleared of, points to
 * its successor. Once one such table has come into V8's old generation, where room is made only seldom, it keeps every later
 * table alive, and each of these all that was in it at its end; so what lives for milliseconds is copied, and copied again, as
 * if it lived for ever. Places of an array forget what they held.
 */

/** Numbers under way at a time that need no Map, if none of them stays much longer than the others. */
const PLACES = 1024;

interface Entry<T> {
  readonly number: number;
  readonly value: T;
}

export class ByNumber<T> {
  readonly #places: (Entry<T> | undefined)[] = new Array<Entry<T> | undefined>(PLACES).fill(undefined);
  /** Those whose place was taken when they came. */
  readonly #others = new Map<number, T>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(number: number): T | undefined {
    const entry = this.#places[number % PLACES];
    if (entry?.number === number) return entry.value;
    return this.#others.size === 0 ? undefined : this.#others.get(number);
  }

  /** `number`: a whole one from 0 that is not in use. */
  add(number: number, value: T): void {
    this.#size += 1;
    const place = number % PLACES;
    if (this.#places[place] === undefined) this.#places[place] = { number, value };
    else this.#others.set(number, value);
  }

  delete(number: number): void {
    const place = number % PLACES;
    if (this.#places[place]?.number === number) this.#places[place] = undefined;
    else if (!this.#others.delete(number)) return;
    this.#size -= 1;
  }

  /** Calls with each of them, in no order; whatever `visit` adds may be left out, and whatever it deletes is. */
  forEach(visit: (value: T, number: number) => void): void {
    if (this.#size === 0) return;
    for (let place = 0; place < PLACES; place++) {
      const entry = this.#places[place];
      if (entry !== undefined) visit(entry.value, entry.number);
    }
    this.#others.forEach(visit);
  }
}
