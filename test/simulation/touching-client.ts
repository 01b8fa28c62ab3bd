/**
 * Somebody who touches keys, at any node and level. What clients write lives for ever, so a touch changes nothing that anybody
 * could see, and whatever the checkers find then is the touch's doing.
 */

import type { SeededRandom } from '#world/simulated/random.ts';
import type { Simulation } from '#world/simulated/scheduler.ts';
import type { Machine } from './cluster.ts';
import { exchange } from './exchange.ts';
import type { Clients, Target } from './workload.ts';

export interface TouchingOptions {
  readonly simulation: Simulation;
  readonly random: SeededRandom;
  /** Whose keys it touches. */
  readonly clients: Clients;
  readonly machines: () => readonly Machine[];
  readonly crashed: (error: unknown) => void;
  readonly note: (what: string) => void;
}

const THINK_MS = 250;
const TIMEOUT_MS = 2000;
const GRACE_MS = 1000;
/** There was something, there was nothing, or it was gone or replaced meanwhile; others for want of nodes, time or room. */
const ANSWERS: ReadonlySet<number> = new Set([204, 404, 409, 429, 503, 504, 507]);

export class TouchingClient {
  readonly #options: TouchingOptions;
  #stopping = false;

  constructor(options: TouchingOptions) {
    this.#options = options;
  }

  /** Resolves when it has had the answer to its last request. */
  async run(): Promise<void> {
    const { simulation, random, clients, machines } = this.#options;
    for (;;) {
      const pause = random.exponential(THINK_MS);
      await new Promise<void>((resolve) => void simulation.schedule(pause, 'client thinks', resolve));
      if (this.#stopping) return;
      const target = clients.someTarget(random);
      const among = machines();
      if (target !== undefined) await this.touch(target, among[random.below(among.length)]!);
    }
  }

  stop(): void {
    this.#stopping = true;
  }

  async touch({ bucket, key }: Target, machine: Machine): Promise<void> {
    const { simulation, random, clients, crashed, note } = this.#options;
    const levels = clients.levels(bucket.name);
    const { query } = levels[random.below(levels.length)]!;
    const path = `/v1/kv/${bucket.name}/${key}?ttl=3600&timeout=${TIMEOUT_MS}${query === '' ? '' : `&${query}`}`;
    // Its answers need not be those that a session may have, but have to bear its token.
    const inSession = random.chance(0.5);
    const request = {
      method: 'POST',
      target: inSession ? `${path}&session=new` : path,
      headers: { 'content-type': 'application/json' },
      body: '{"op":"touch"}',
    };
    const reply = await exchange({ simulation, random, crashed }, machine, request, TIMEOUT_MS + GRACE_MS);
    const status = reply.kind === 'answered' ? reply.answer.status : undefined;
    note(`POST ${path} touch at ${machine.id}: ${status ?? reply.kind}`);
    if (status !== undefined && !ANSWERS.has(status)) crashed(new Error(`a touch of ${path} is answered ${status}`));
    const bears = reply.kind === 'answered' && reply.answer.headers.has('quoral-session');
    if (inSession && (status === 204 || status === 404) && !bears) {
      crashed(new Error(`an answer without a token: a touch of ${path}, ${status}`));
    }
  }
}
