/**
 * How long a message has waited on its way: in the sender's queue, in the buffers of both machines, and until this process
 * came to read it. The two clocks have nothing in common, but the least difference seen lately between when a message was
 * sent and when it came is that of one which did not wait, so what is above that is waiting (as LEDBAT measures it, RFC 6817).
 *
 * That matters most after a process stood still: what it finds in its buffers then may be long past its deadline, and no
 * timestamp of its own would show it.
 */

/** Clocks drift apart, so the least difference is that of the last minute: so many spans of so long each. */
const SPANS = 6;
const SPAN_MS = 10_000;

export class QueueingDelay {
  /** The least difference of each span, the present one last. */
  readonly #least: number[] = [];
  #spanEnds = Number.NEGATIVE_INFINITY;

  /** Notes a message, and says how many milliseconds it has waited. Both times are of some clock of either side. */
  of(sentAt: number, receivedAt: number): number {
    const difference = receivedAt - sentAt;
    if (receivedAt >= this.#spanEnds) {
      this.#spanEnds = receivedAt + SPAN_MS;
      this.#least.push(difference);
      if (this.#least.length > SPANS) this.#least.shift();
    } else if (difference < this.#least.at(-1)!) {
      this.#least[this.#least.length - 1] = difference;
    }
    let least = difference;
    for (const other of this.#least) if (other < least) least = other;
    return difference - least;
  }
}
