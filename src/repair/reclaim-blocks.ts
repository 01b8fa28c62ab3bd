/** What is in the way of a pass of reclaiming, for the figures, the log and whoever asks. */

import { asRefusal } from '#replica/refusals.ts';
import { Refusal } from '#wire/message.ts';
import type { World } from '#world/world.ts';
import { ExchangeFailed } from './exchange.ts';
import type { TreePlace } from './tree-tables.ts';

export const BLOCKS = ['owner', 'member', 'hints', 'ring'] as const;
export type Block = (typeof BLOCKS)[number];

interface Blocked {
  readonly block: Block;
  readonly text: string;
}

const COMPLAINT_MS = 24 * 3_600_000;
const BLOCKED_LISTED_MAX = 256;

export class ReclaimBlocks {
  readonly #world: Pick<World, 'clock' | 'log'>;
  /** In the last pass, and in the present one. */
  #blocked: ReadonlyMap<string, Blocked> = new Map();
  #met = new Map<string, Blocked>();
  #blockedSince: number | undefined;

  constructor({ clock, log, metrics }: Pick<World, 'clock' | 'log' | 'metrics'>) {
    this.#world = { clock, log };
    for (const block of BLOCKS) {
      const help =
        'Partitions of which something could not be given up in the last pass of this node, by what was in the way';
      const count = (): number => [...this.#blocked.values()].filter((one) => one.block === block).length;
      metrics.gauge('quoral_reclaim_blocked_partitions', help, count, { by: block });
    }
  }

  passBegins(): void {
    this.#met = new Map();
  }

  /** False when something was in the way. */
  passEnds(): boolean {
    this.#blocked = this.#met;
    this.#tell();
    return this.#blocked.size === 0;
  }

  texts(): readonly string[] {
    return [...this.#blocked.values()].map(({ text }) => text).slice(0, BLOCKED_LISTED_MAX);
  }

  note({ n, partition }: TreePlace, block: Block, reason: string): void {
    this.#met.set(`${n}/${partition}`, { block, text: `n=${n} partition ${partition}: ${reason}` });
  }

  /** Throws what is no answer of anybody. */
  failed(place: TreePlace, block: Block, who: string, error: unknown): void {
    const refusal = asRefusal(error);
    if (!(refusal instanceof ExchangeFailed) && !(refusal instanceof Refusal)) throw error;
    this.note(place, block, `${who}: ${refusal.message}`);
  }

  /** Once when something begins to be in the way, and once a day as long as it is. */
  #tell(): void {
    const { clock, log } = this.#world;
    const now = clock.monotonic();
    if (this.#blocked.size === 0) {
      this.#blockedSince = undefined;
      return;
    }
    const first = this.#blockedSince === undefined;
    const due = this.#blockedSince !== undefined && now - this.#blockedSince >= COMPLAINT_MS;
    if (!first && !due) return;
    this.#blockedSince = now;
    const [example] = this.#blocked.values();
    const fields = { partitions: this.#blocked.size, example: example?.text };
    log[due ? 'error' : 'warn']('reclaim-blocked', fields);
  }
}
