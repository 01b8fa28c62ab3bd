/**
 * Every interval and bound of this room. Times are milliseconds.
 */

import { MAX_MESSAGE_BYTES, MAX_QUEUED_BYTES } from '#world/limits.ts';

export interface WireSettings {
  /** Until a connection stands. */
  readonly connectTimeout: number;
  /** From there until both ends have proved who they are. */
  readonly handshakeTimeout: number;
  /** Between two pings on a connection. */
  readonly heartbeatInterval: number;
  /** A connection on which nothing was heard for this long is closed: the other end is gone or cut off. */
  readonly silenceLimit: number;
  /** The nth attempt in a row waits a random time up to `reconnectFirst`·2^(n-1), `reconnectLongest` at most. */
  readonly reconnectFirst: number;
  readonly reconnectLongest: number;
  /** A connection that stood for this long forgets the failed attempts before it. */
  readonly steadyAfter: number;
  /** Calls to one peer that wait for an answer, those on one channel. */
  readonly maxInFlightPerPeer: number;
  /** Bytes of the requests that wait for an answer on one link; calls beyond are not sent. */
  readonly maxInFlightBytes: number;
  /** Bytes that wait to leave on one connection; calls beyond are not sent. */
  readonly maxQueuedBytes: number;
  /** Bytes of one message. */
  readonly maxMessageBytes: number;
  /** Requests of all peers that are being worked on at once. */
  readonly maxConcurrentHandlers: number;
  /** Connections that other nodes have opened. */
  readonly maxIncomingConnections: number;
  /** Those of them that have not proved who they are yet. */
  readonly maxUnverifiedConnections: number;
}

export const DEFAULT_WIRE_SETTINGS: WireSettings = {
  connectTimeout: 2_000,
  handshakeTimeout: 2_000,
  heartbeatInterval: 1_000,
  silenceLimit: 3_000,
  reconnectFirst: 100,
  reconnectLongest: 5_000,
  steadyAfter: 5_000,
  maxInFlightPerPeer: 4_096,
  maxInFlightBytes: 256 * 1024 * 1024,
  // One more message must always fit below the network's own bound, which closes the connection.
  maxQueuedBytes: MAX_QUEUED_BYTES - 2 * MAX_MESSAGE_BYTES,
  maxMessageBytes: MAX_MESSAGE_BYTES,
  maxConcurrentHandlers: 8_192,
  maxIncomingConnections: 1_024,
  maxUnverifiedConnections: 64,
};

/** What is in no hurry is given up only where the way to a peer carries less than this. */
const SLOWEST_BYTES_PER_SECOND = 64 * 1024;

/** Milliseconds to allow for so many bytes to arrive, beside the time for whatever is done with them. */
export function transferTime(bytes: number): number {
  return (bytes / SLOWEST_BYTES_PER_SECOND) * 1000;
}

/** Throws RangeError naming the first setting that is out of its bounds. */
export function checkWireSettings(settings: WireSettings): void {
  for (const [name, value] of Object.entries(settings)) {
    if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`${name} ${value}: a whole number from 1`);
  }
  if (settings.silenceLimit <= settings.heartbeatInterval) {
    throw new RangeError(`silenceLimit ${settings.silenceLimit}: more than heartbeatInterval`);
  }
  if (settings.maxMessageBytes > MAX_MESSAGE_BYTES) {
    throw new RangeError(`maxMessageBytes ${settings.maxMessageBytes}: at most ${MAX_MESSAGE_BYTES}`);
  }
}
