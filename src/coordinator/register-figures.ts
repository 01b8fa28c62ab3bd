/** What rounds for strong keys have come to. */

import type { Counter, Metrics } from '#world/world.ts';
import type { Setback } from './register-round.ts';

export class RegisterFigures {
  /** Chosen in one phase, and in two. */
  readonly warm: Counter;
  readonly cold: Counter;
  /** By why a round has to be made again. */
  readonly setbacks: Readonly<Record<Setback['kind'], Counter>>;

  constructor(metrics: Metrics) {
    const ended = (outcome: string): Counter =>
      metrics.counter('quoral_register_rounds_total', 'Rounds for changes of strong keys, by how they ended', {
        outcome,
      });
    this.warm = ended('chosen-warm');
    this.cold = ended('chosen-cold');
    this.setbacks = { rejected: ended('rejected'), stale: ended('stale-epoch'), failed: ended('failed') };
  }
}
