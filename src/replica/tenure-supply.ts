/**
 * Sees to it that tenures do not run out: when few are left, more are reserved in a commit of their own. Once that is stored no
 * later boot can begin them again.
 */

import type { Log } from '#world/world.ts';
import type { GroupCommit } from './group-commit.ts';
import { TENURES_RESERVED, type NodeStorage } from './node-storage.ts';

export interface TenureSupplyOptions {
  readonly log: Log;
  readonly storage: Pick<NodeStorage, 'clock' | 'tenure' | 'reserved'>;
  readonly commits: Pick<GroupCommit, 'submit'>;
}

export class TenureSupply {
  readonly #options: TenureSupplyOptions;
  #reserving = false;

  constructor(options: TenureSupplyOptions) {
    this.#options = options;
  }

  /** From now on this node is another actor. */
  renew(): void {
    this.#options.storage.tenure.renew();
    this.reserve();
  }

  /** A tenure for one write; undefined when none is reserved at the moment. */
  once(): number | undefined {
    const tenure = this.#options.storage.tenure.once();
    this.reserve();
    return tenure;
  }

  /** Reserves more when few are left; whoever is refused for want of a tenure tries it again by asking. */
  reserve(): void {
    const { storage, commits, log } = this.#options;
    if (this.#reserving || !storage.tenure.runsOut()) return;
    this.#reserving = true;
    const first = storage.reserved.take(storage.clock);
    commits.submit({ run: (transaction) => storage.reserved.store(transaction), bytes: 0, durable: true }).then(
      () => {
        this.#reserving = false;
        storage.tenure.extend(first);
        log.info('tenures-reserved', { first, count: TENURES_RESERVED });
      },
      (error: unknown) => {
        this.#reserving = false;
        log.warn('tenures-not-reserved', { reason: String(error) });
      },
    );
  }
}
