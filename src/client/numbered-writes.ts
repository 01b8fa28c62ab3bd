/**
 * The idempotency keys that a client makes up, and which of its writes are over.
 *
 * All keys of a client are numbers of one series. With each write goes below which number all of its writes to that key have been
 * answered or given up, so that a strong key need not remember them for as long as anybody could send them again.
 *
 * A node of an earlier release refuses what it does not know. The write is then sent without it, and a copy of that may be taken
 * for new wherever the write is not remembered; so no more is ever said of its series, and the next one begins.
 */

import type { Runtime } from './runtime.ts';

export interface NumberedWrite {
  readonly idempotencyKey: string;
  /** None of the client's writes to the key with a lower number will be sent again; undefined where that is not to be said. */
  readonly answeredBelow: number | undefined;
  /** The write will not be sent again, whatever became of it. */
  readonly end: () => void;
}

/** Milliseconds for which nothing is said after a node has not understood it. */
const SILENCE_MS = 30_000;

export class NumberedWrites {
  readonly #runtime: Pick<Runtime, 'now' | 'uniqueId'>;
  #series: string | undefined;
  #last = 0;
  /** Of each key that is being written to: in the order in which they were given. */
  readonly #underWay = new Map<string, Set<number>>();
  /** An instant; undefined when something may be said. */
  #silentUntil: number | undefined;

  constructor(runtime: Pick<Runtime, 'now' | 'uniqueId'>) {
    this.#runtime = runtime;
  }

  begin(bucket: string, key: string): NumberedWrite {
    if (this.#silentUntil !== undefined && this.#runtime.now() >= this.#silentUntil) {
      this.#silentUntil = undefined;
      this.#series = undefined;
    }
    this.#series ??= this.#runtime.uniqueId();
    const number = ++this.#last;
    // Names of buckets hold no slash.
    const place = `${bucket}/${key}`;
    const numbers = this.#underWay.get(place) ?? new Set();
    this.#underWay.set(place, numbers.add(number));
    const [lowest = number] = numbers;
    const end = (): void => {
      numbers.delete(number);
      if (numbers.size === 0) this.#underWay.delete(place);
    };
    const answeredBelow = this.#silentUntil === undefined ? lowest : undefined;
    return { idempotencyKey: `${this.#series}:${number}`, answeredBelow, end };
  }

  /** A node has not understood it. */
  notUnderstood(): void {
    this.#silentUntil = this.#runtime.now() + SILENCE_MS;
    this.#series = undefined;
  }
}
