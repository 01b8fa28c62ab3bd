/**
 * The second thoughts of a read: when those that were asked take longer than they nearly always do, one more owner is
 * asked, and after a while another; and when the time is up, it ends. One timer serves both, since hardly any read sees it fire.
 */

import type { NodeId } from '#kernel/identity.ts';
import { FetchMessage } from '#replica/messages.ts';
import type { Timer } from '#world/world.ts';
import type { Environment } from './environment.ts';
import type { ReadEnding } from './requests.ts';

export interface HedgedRead {
  /** Whom it would ask next; undefined when everybody was asked. */
  next(): NodeId | undefined;
  /** Other nodes that were asked and have not answered. */
  slow(): readonly NodeId[];
  askNext(): void;
  end(ending: ReadEnding): void;
}

export class ReadHedge {
  readonly #environment: Environment;
  readonly #deadline: number;
  readonly #read: HedgedRead;
  #timer: Timer | undefined;

  constructor(environment: Environment, deadline: number, read: HedgedRead) {
    this.#environment = environment;
    this.#deadline = deadline;
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
    const { clock } = this.#environment.world;
    const left = this.#deadline - clock.monotonic();
    const time = this.#read.next() === undefined ? left : Math.min(delay, left);
    this.#timer = clock.after(Math.max(0, time), this.#look);
  }

  readonly #look = (): void => {
    const { hedging, figures, world } = this.#environment;
    if (world.clock.monotonic() >= this.#deadline) return this.#read.end({ kind: 'deadline' });
    const next = this.#read.next();
    if (next === undefined) return this.#wait(0);
    if (!hedging.mayCall(next, this.#read.slow())) return this.#wait(hedging.pause);
    figures.hedged.add();
    this.#read.askNext();
    this.start();
  };
}

/** Takes one of the few out. */
export function forget(asked: NodeId[], id: NodeId): void {
  const place = asked.indexOf(id);
  if (place !== -1) asked.splice(place, 1);
}
