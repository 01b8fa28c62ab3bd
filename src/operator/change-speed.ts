/**
 * How fast a ring change goes, as one node sees it: what was where it belongs at which time, and from that the speed of the last
 * while and the time that is left. Pure: the caller knows the time.
 */

/** Milliseconds that the present speed is taken from. */
const WINDOW_MS = 30_000;

interface Sample {
  readonly at: number;
  readonly done: number;
}

export class ChangeSpeed {
  #id: string | null = null;
  #samples: Sample[] = [];

  /** So many replicas are where they belong now. */
  note(id: string | null, done: number, at: number): void {
    const last = this.#samples.at(-1);
    // Another change, or one that goes back, begins anew.
    if (id !== this.#id || (last !== undefined && done < last.done)) this.#samples = [];
    this.#id = id;
    if (id === null || this.#samples.at(-1)?.done === done) return;
    this.#samples.push({ at, done });
    const [, second] = this.#samples;
    if (second !== undefined && second.at <= at - WINDOW_MS) this.#samples.shift();
  }

  /** Replicas a second of late; null as long as nobody can say. A change that stands still gets slower and slower. */
  perSecond(now: number): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || first.done === last.done) return null;
    return ((last.done - first.done) / Math.max(1, now - first.at)) * 1000;
  }
}
