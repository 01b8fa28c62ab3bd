/**
 * Ends freezes whose node has gone. A bucket is frozen while it is found out whether it holds keys, and the node that does so
 * ends the freeze, unless it dies before. Whoever has seen the same freeze for longer than any request may take serves the
 * bucket again as it was. That is safe at any time: a definition that relies on the freeze is refused once something has
 * ended it, and begins again.
 */

import type { Epoch } from '#kernel/identity.ts';
import type { EpochChain } from '#consensus/epoch-chain.ts';
import type { Timer, World } from '#world/world.ts';
import { thawBucket } from './change.ts';

/** More than the 60 s that a request may take; not all nodes come at the same time. */
const FREEZE_MAX_MS = 90_000;
const SPREAD_MS = 30_000;
const LOOK_MS = 5000;
const PROPOSAL_MS = 5000;

export interface ThawOptions {
  readonly world: Pick<World, 'clock' | 'log' | 'random'>;
  readonly chain: Pick<EpochChain, 'facts' | 'propose'>;
}

interface Freeze {
  readonly version: Epoch;
  /** An instant of the monotonic clock. */
  readonly endsAt: number;
}

export class Thaw {
  readonly #options: ThawOptions;
  #freezes = new Map<string, Freeze>();
  #timer: Timer | undefined;

  constructor(options: ThawOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = this.#options.world.clock.after(LOOK_MS, () => void this.#look());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const now = this.#options.world.clock.monotonic();
    this.#freezes = this.#freezesNow(now);
    this.start();
    for (const [name, { version, endsAt }] of this.#freezes) if (endsAt <= now) await this.#thaw(name, version);
  }

  #freezesNow(now: number): Map<string, Freeze> {
    const { chain, world } = this.#options;
    const freezes = new Map<string, Freeze>();
    for (const { name, version, frozen } of chain.facts()?.buckets ?? []) {
      if (frozen !== true) continue;
      const known = this.#freezes.get(name);
      const spread = (world.random.uint32() / 2 ** 32) * SPREAD_MS;
      freezes.set(name, known?.version === version ? known : { version, endsAt: now + FREEZE_MAX_MS + spread });
    }
    return freezes;
  }

  async #thaw(bucket: string, frozenIn: Epoch): Promise<void> {
    const { chain, world } = this.#options;
    const deadline = world.clock.monotonic() + PROPOSAL_MS;
    const { kind } = await chain.propose((facts) => thawBucket(facts, bucket, frozenIn), deadline);
    const fields = { bucket, epoch: frozenIn, reason: 'the node that was defining it has not ended the freeze' };
    if (kind === 'decided') world.log.warn('bucket-thawed', fields);
  }
}
