/**
 * The way from one host to another: its name, what it costs, what can be wrong with it. Each direction is one of its own.
 */

import type { SimulatedHost } from './host.ts';

export function linkName(from: SimulatedHost, to: SimulatedHost): string {
  return `${from.name}>${to.name}`;
}

/**
 * A stream that stands loses nothing in the middle, so all but `reset`, `delay` and `blocked` are harsher than TCP: they stand for a
 * message that its receiver did not get around to, or that a relay repeated, and make timeouts and repeated execution
 * frequent. `reset` is what TCP really does.
 */
export interface LinkFault {
  /** Probability that a message vanishes. */
  readonly drop?: number;
  /** Probability that a message comes once more, some time later. */
  readonly duplicate?: number;
  /** Probability that the connection breaks at a message, which is lost with all that is behind it. */
  readonly reset?: number;
  /** Probability that a message comes once more, much later: up to some minutes. */
  readonly replay?: number;
  /** Probability that a message is held back for a while, so that later ones overtake it. */
  readonly reorder?: number;
  /** Messages for which it says so vanish. It sees them as they are encoded. */
  readonly loses?: (message: Uint8Array) => boolean;
  /** Mean of an exponentially distributed delay, in milliseconds, on top of the usual latency. */
  readonly delay?: number;
  /** Nothing passes, and no end of a connection is told. What was under way is lost. */
  readonly blocked?: boolean;
}

export interface Latency {
  /** Milliseconds that every message takes. */
  readonly minimum: number;
  /** Mean of the exponentially distributed rest. */
  readonly mean: number;
}

export interface LinkCount {
  readonly messages: number;
  /** Of messages, without framing. */
  readonly bytes: number;
}
