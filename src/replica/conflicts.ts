/**
 * Concurrent versions that met at this replica, by what settled them. One conflict is counted at each replica that sees it.
 */

import type { Conflicts, State, VersionVector } from '#causality/state.ts';
import { covers } from '#causality/vector.ts';
import type { Counter, Metrics } from '#world/world.ts';

export class ConflictFigures {
  /** The later one was kept. */
  readonly #clock: Counter;
  /** All were kept. */
  readonly #siblings: Counter;
  /** A client has seen several and replaced them. */
  readonly #client: Counter;

  constructor(metrics: Metrics) {
    const counter = (settled: string): Counter =>
      metrics.counter('quoral_conflicts_total', 'Concurrent versions that met here, by what settled them', { settled });
    this.#clock = counter('clock');
    this.#siblings = counter('siblings');
    this.#client = counter('client');
  }

  /** A write with this context met what was there. */
  minted(before: State, context: VersionVector, conflicts: Conflicts): void {
    const { versions } = before;
    if (versions.length === 0) return;
    // A loop, because this stands in every write and a closure would be garbage.
    for (const { dot } of versions) {
      if (!covers(context, dot)) return this.#met(conflicts);
    }
    if (versions.length > 1) this.#client.add();
  }

  /** Two states were joined into one that is neither of them. */
  joined(conflicts: Conflicts): void {
    this.#met(conflicts);
  }

  #met(conflicts: Conflicts): void {
    if (conflicts === 'lww') this.#clock.add();
    else this.#siblings.add();
  }
}
