/**
 * Sizes that both worlds' networks keep, so that what passes in the simulator passes on a wire.
 */

/** A message up to this size is never split, so it arrives before any larger message that is still under way. */
export const LARGE_MESSAGE_BYTES = 64 * 1024;

/**
 * The largest message that a connection carries. A key's state must always fit: each of at most seven owners may have let it
 * grow to 8 MiB while it could not see the others, and a join is never refused.
 */
export const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** A connection whose peer lets more than this pile up is closed: the peer has stopped reading. */
export const MAX_QUEUED_BYTES = 256 * 1024 * 1024;

/** A reason given to `close` travels to the other end; what is longer is cut. */
export const MAX_CLOSE_REASON_BYTES = 512;
