/**
 * Keys on their way into SQLite. V8 keeps the bytes of a short array on its own heap, and whoever asks for their address, as
 * a bound parameter does, has them moved out first: an allocation, a copy and a buffer to be swept for each key. SQLite
 * copies what is bound, so views of one piece of memory outside, which all short keys share, do as well.
 */

/** Bytes of the longest array whose bytes V8 keeps on its heap (`typed_array_max_size_in_heap`). */
const SHORT = 64;
const memory = new Uint8Array(SHORT + 1);
/** The first bytes of {@link memory}, as many as the place says. */
const views: readonly Uint8Array[] = Array.from({ length: SHORT + 1 }, (_, length) => memory.subarray(0, length));

/** The key's bytes, to be bound before the next call. */
export function toBind(key: Uint8Array): Uint8Array {
  const view = views[key.length];
  if (view === undefined) return key;
  for (let i = 0; i < key.length; i++) memory[i] = key[i]!;
  return view;
}
