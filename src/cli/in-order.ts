/** So much work at once and no more, with the results in the order of the work. */

/** Bytes that the work under way may hold in memory, about. */
const BYTES_MAX = 64 * 1024 * 1024;
const FIRST = 16;
const LEAST = 4;

/** How many pieces of work may be under way: few until it is known how large they are, then as many as memory allows. */
export class Width {
  readonly #most: number;
  #now: number;
  /** Bytes of a large piece, as seen lately. */
  #large = 1;

  constructor(most: number) {
    this.#most = most;
    this.#now = Math.min(most, FIRST);
  }

  get now(): number {
    return this.#now;
  }

  /** A piece was that large. */
  saw(bytes: number): void {
    this.#large = Math.max(bytes, this.#large * 0.95);
    const fitting = Math.max(LEAST, Math.floor(BYTES_MAX / this.#large));
    this.#now = Math.min(this.#most, fitting, this.#now + 1);
  }
}

/**
 * Begins `work` for each item as long as there is room for it among what is under way or waits to be taken, and yields the
 * results in order. The first failure ends it, when all that was under way has ended.
 */
export async function* inOrder<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  width: Width,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const queue: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const begun = work(item);
      // Who fails before it is taken is not forgotten, only heard of later.
      begun.catch(() => undefined);
      queue.push(begun);
      while (queue.length >= width.now) yield await queue.shift()!;
    }
    while (queue.length > 0) yield await queue.shift()!;
  } finally {
    await Promise.allSettled(queue);
  }
}
