/**
 * A model of a node under load, with a clock of its own: one loop in turns. A turn takes in all that came meanwhile, and works on what
 * is ready; every turn has its price, however little there is to do, so operations are cheaper in company, as groups of writes
 * are. An operation has several stages, between which it waits for others (peers, the disk). Requests come on a
 * number of connections, each with one at a time, so what is not let in and not refused waits outside.
 */

import type { AdaptiveLimit, LoopTime } from '#api/adaptive-limit.ts';

/** Milliseconds of the loop. */
const TURN = 0.4;
const STAGES = 4;
const STAGE = 0.1;
const REFUSAL = 0.02;
/** So often something else takes the loop, and for so long: what the slowest wait for without any storm. */
const PAUSE_EVERY = 700;
const PAUSE = 15;

interface Operation {
  readonly due: number;
  readonly came: number;
  stagesLeft: number;
  readyAt: number;
}

export interface Ended {
  readonly due: number;
  /** Milliseconds since it was due. */
  readonly took: number;
}

export class TurningNode {
  readonly #limit: AdaptiveLimit;
  readonly #connections: number;
  /** All prices times this. */
  slowness = 1;
  /** Milliseconds between two stages, while the loop may do other things. */
  away = 1;
  now = 0;
  #atWork = 0;
  #waited = 0;
  #pauseAt = PAUSE_EVERY;
  #underWay: Operation[] = [];
  /** Due, and waiting for the node to read them. */
  #waiting: number[] = [];
  answered: Ended[] = [];
  refused: Ended[] = [];

  constructor(limit: (loop: () => LoopTime) => AdaptiveLimit, connections: number) {
    this.#limit = limit(() => ({ atWork: this.#atWork, waited: this.#waited }));
    this.#connections = connections;
  }

  /** Requests are due at this rate for so many milliseconds, whatever becomes of those before them. */
  openLoop(perSecond: number, milliseconds: number): void {
    const until = this.now + milliseconds;
    const gap = 1000 / perSecond;
    for (let due = this.now; this.now < until;) {
      for (; due <= this.now; due += gap) this.#waiting.push(due);
      this.#turn(this.#connections);
    }
  }

  /** So many clients wait for their answers and send the next request at once. */
  closedLoop(clients: number, milliseconds: number): void {
    const until = this.now + milliseconds;
    while (this.now < until) {
      while (this.#waiting.length + this.#underWay.length < clients) this.#waiting.push(this.now);
      this.#turn(clients);
    }
    this.#waiting.length = 0;
    while (this.#underWay.length > 0) this.#turn(clients);
  }

  forget(): void {
    this.answered = [];
    this.refused = [];
  }

  #turn(connections: number): void {
    const begun = this.now;
    let refusals = 0;
    for (const due of this.#waiting.splice(0, connections - this.#underWay.length)) {
      if (this.#limit.allows(this.#underWay.length)) {
        this.#underWay.push({ due, came: begun, stagesLeft: STAGES, readyAt: begun });
      } else {
        refusals += 1;
        this.refused.push({ due, took: begun + refusals * REFUSAL * this.slowness - due });
      }
    }
    const ready = this.#underWay.filter(({ readyAt }) => readyAt <= begun);
    if (refusals === 0 && ready.length === 0) {
      this.#wait();
      return;
    }
    this.#work(TURN + refusals * REFUSAL + ready.length * STAGE);
    if (this.now >= this.#pauseAt) {
      this.#work(PAUSE);
      this.#pauseAt = this.now + PAUSE_EVERY;
    }
    for (const one of ready) {
      one.stagesLeft -= 1;
      one.readyAt = this.now + this.away * this.slowness;
    }
    const ended = ready.filter(({ stagesLeft }) => stagesLeft === 0);
    if (ended.length > 0) this.#underWay = this.#underWay.filter(({ stagesLeft }) => stagesLeft > 0);
    for (const { due, came } of ended) {
      this.answered.push({ due, took: this.now - due });
      this.#limit.ended(this.now - came, this.now);
    }
  }

  #work(milliseconds: number): void {
    this.now += milliseconds * this.slowness;
    this.#atWork += milliseconds * this.slowness;
  }

  #wait(): void {
    this.now += 0.2;
    this.#waited += 0.2;
  }
}

export function quantile(ended: readonly Ended[], share: number): number {
  const sorted = ended.map(({ took }) => took).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
