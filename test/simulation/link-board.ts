/** Several faults may be wrong with one way at once: keeps them apart, so that the end of one does not end the others. */

import type { SimulatedHost } from '#world/simulated/host.ts';
import { linkName, type LinkFault } from '#world/simulated/links.ts';
import type { SimulatedNetwork } from '#world/simulated/network.ts';

export class LinkBoard {
  readonly #network: SimulatedNetwork;
  readonly #faults = new Map<string, Set<LinkFault>>();

  constructor(network: SimulatedNetwork) {
    this.#network = network;
  }

  /** The result ends this fault; harmless when {@link clear} did. */
  add(from: SimulatedHost, to: SimulatedHost, fault: LinkFault): () => void {
    const name = linkName(from, to);
    const faults = this.#faults.get(name) ?? new Set();
    this.#faults.set(name, faults);
    faults.add(fault);
    this.#apply(from, to, faults);
    return () => {
      if (faults.delete(fault)) this.#apply(from, to, faults);
    };
  }

  clear(): void {
    for (const faults of this.#faults.values()) faults.clear();
    this.#network.clearFaults();
  }

  #apply(from: SimulatedHost, to: SimulatedHost, faults: ReadonlySet<LinkFault>): void {
    this.#network.setFault(from, to, [...faults].reduce(both, {}));
  }
}

function both(a: LinkFault, b: LinkFault): LinkFault {
  const most = (of: (fault: LinkFault) => number | undefined): number => Math.max(of(a) ?? 0, of(b) ?? 0);
  return {
    drop: most(({ drop }) => drop),
    duplicate: most(({ duplicate }) => duplicate),
    replay: most(({ replay }) => replay),
    reorder: most(({ reorder }) => reorder),
    reset: most(({ reset }) => reset),
    delay: (a.delay ?? 0) + (b.delay ?? 0),
    blocked: a.blocked === true || b.blocked === true,
    loses: (message) => a.loses?.(message) === true || b.loses?.(message) === true,
  };
}
