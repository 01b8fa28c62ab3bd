/**
 * A node that starts opens its door a moment before it may serve: a majority has yet to confirm what it knows. Requests that
 * arrive in that moment wait for it, so that a restart costs clients nothing but a closed door. After it they are refused at
 * once, whatever the reason.
 */

import type { ApiServices } from './services.ts';

const LOOK_MS = 20;

export class StartPatience {
  readonly #services: Pick<ApiServices, 'clock' | 'refusal'>;
  readonly #ends: number;

  constructor(services: Pick<ApiServices, 'clock' | 'refusal' | 'settings'>) {
    this.#services = services;
    this.#ends = services.clock.monotonic() + services.settings.startPatienceMs;
  }

  isLeft(): boolean {
    return this.#services.clock.monotonic() < this.#ends;
  }

  /** Waits until the node may serve, or until it is time to say why it does not: then that is returned. */
  async refusal(): Promise<string | undefined> {
    const { clock, refusal } = this.#services;
    for (;;) {
      const reason = refusal();
      if (reason === undefined || !this.isLeft()) return reason;
      await new Promise<void>((resolve) => void clock.after(LOOK_MS, resolve));
    }
  }
}
