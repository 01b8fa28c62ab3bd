/** So much work at once and no more, with the results in the order of the work. */

/**
 * Begins `work` for each item as long as fewer than `limit` are under way or wait to be taken, and yields the results in order.
 * The first failure ends it, when all that was under way has ended.
 */
export async function* inOrder<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  limit: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const queue: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const begun = work(item);
      // Who fails before it is taken is not forgotten, only heard of later.
      begun.catch(() => undefined);
      queue.push(begun);
      if (queue.length >= limit) yield await queue.shift()!;
    }
    while (queue.length > 0) yield await queue.shift()!;
  } finally {
    await Promise.allSettled(queue);
  }
}
