/**
 * The second thoughts of a read: when those that were asked take longer than they nearly always do, one more owner is
 * asked, and after a while another.
 */

import type { NodeId } from '#kernel/identity.ts';
import { FetchMessage } from '#replica/messages.ts';
import type { Timer } from '#world/world.ts';
import type { Environment } from './environment.ts';

export interface HedgedRead {
  /** Whom it would ask next; undefined when everybody was asked. */
  next(): NodeId | undefined;
  /** Other nodes that were asked and have not answered. */
  slow(): readonly NodeId[];
  askNext(): void;
}

export class ReadHedge {
  readonly #environment: Environment;
  readonly #read: HedgedRead;
  #timer: Timer | undefined;

  constructor(environment: Environment, read: HedgedRead) {
    this.#environment = environment;
    this.#read = read;
  }

  /** To be called when the first have been asked. */
  start(): void {
    this.#wait(this.#environment.hedging.delay(this.#read.slow(), FetchMessage.name));
  }

  cancel(): void {
    this.#timer?.cancel();
  }

  #wait(delay: number): void {
    if (this.#read.next() === undefined) return;
    this.#timer = this.#environment.world.clock.after(delay, () => this.#look());
  }

  #look(): void {
    const { hedging, figures } = this.#environment;
    const next = this.#read.next();
    if (next === undefined) return;
    if (!hedging.mayCall(next, this.#read.slow())) return this.#wait(hedging.pause);
    figures.hedged.add();
    this.#read.askNext();
    this.start();
  }
}
