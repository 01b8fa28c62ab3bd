/**
 * Copies of requests that arrive when the client is long done with them: out of the buffers of a node that stood still, or of
 * something between. Nobody hears their answers, and whatever was confirmed before must not be made again.
 */

import type { SeededRandom } from '#world/simulated/random.ts';
import type { SimulatedCluster } from './cluster.ts';
import { exchange, type HttpRequest } from './exchange.ts';

/** Of the requests that may be copied, how many are. */
const COPIED = 0.3;
const DELAY_MEAN = 1500;
const PATIENCE = 10_000;

export class LateCopies {
  readonly #cluster: SimulatedCluster;
  readonly #random: SeededRandom;
  readonly #crashed: (error: unknown) => void;

  constructor(cluster: SimulatedCluster, random: SeededRandom, crashed: (error: unknown) => void) {
    this.#cluster = cluster;
    this.#random = random;
    this.#crashed = crashed;
  }

  /** Perhaps a copy of the request, which was confirmed, goes to some node later. */
  consider(request: HttpRequest): void {
    if (!this.#random.chance(COPIED)) return;
    const { simulation, machines } = this.#cluster;
    const machine = machines[this.#random.below(machines.length)]!;
    simulation.schedule(this.#random.exponential(DELAY_MEAN), 'late copy', () => {
      const client = { simulation, random: this.#random, crashed: this.#crashed };
      void exchange(client, machine, request, PATIENCE);
    });
  }
}
