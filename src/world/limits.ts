/**
 * Sizes that both worlds' networks keep, so that what passes in the simulator passes on a wire.
 */

/** A message up to this size is never split, so it arrives before any larger message that is still under way. */
export const LARGE_MESSAGE_BYTES = 64 * 1024;

/** The largest message that a connection carries: a full batch or the siblings of a key, with room for its envelope. */
export const MAX_MESSAGE_BYTES = 9 * 1024 * 1024;

/** A connection whose peer lets more than this pile up is closed: the peer has stopped reading. */
export const MAX_QUEUED_BYTES = 64 * 1024 * 1024;

/** A reason given to `close` travels to the other end; what is longer is cut. */
export const MAX_CLOSE_REASON_BYTES = 512;
