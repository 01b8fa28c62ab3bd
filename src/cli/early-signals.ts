/**
 * Signals that reach a node's process while the program is loaded and the disk opened, which takes a second or more after a crash.
 * Left to the runtime, SIGHUP would end it, as an end that systemd takes for a clean one, although whoever renews certificates
 * only sends it to all nodes; SIGUSR2 likewise, and SIGUSR1 would open a debugger's port. They wait for whoever knows what they
 * mean (start-and-stop.ts).
 */

export const HELD = ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
export type HeldSignal = (typeof HELD)[number];

export class EarlySignals {
  readonly #come = new Set<HeldSignal>();
  readonly #hold = (signal: NodeJS.Signals): void => void this.#come.add(signal as HeldSignal);

  constructor() {
    for (const signal of HELD) process.on(signal, this.#hold);
  }

  /** To be called when others listen: which have come, each once. From now on they come to those alone. */
  end(): ReadonlySet<HeldSignal> {
    for (const signal of HELD) process.off(signal, this.#hold);
    return this.#come;
  }
}
