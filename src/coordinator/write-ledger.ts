/**
 * Who may hold a write, and why others do not: what decides, when a round has not ended well, between "not applied" and
 * "unknown". A node may hold what was given to it unless it has said itself that it did not take it.
 */

import type { Dot } from '#causality/dot.ts';
import { Unfitting } from '#causality/operate.ts';
import type { Epoch, NodeId } from '#kernel/identity.ts';
import { AlreadyMinted, asRefusal, mayHaveBegun, TooLarge, TooManySiblings } from '#replica/refusals.ts';
import { STALE } from '#replica/scope.ts';
import type { Member } from '#ring/ring.ts';
import { Refusal } from '#wire/message.ts';
import type { CallResult } from '#wire/messaging.ts';
import { DiskError, type Log } from '#world/world.ts';
import type { Environment } from './environment.ts';
import type { Failure, NotTaken } from './write-outcome.ts';

export class WriteLedger {
  /** Nodes that may hold the write, however the round ends. */
  #mayHold = 0;
  readonly #refusals: NotTaken[] = [];
  readonly #environment: { readonly self: NodeId; readonly peers: Pick<Environment['peers'], 'why'> };
  #reasonNotMinted: unknown;
  #newerEpoch: Epoch | undefined;

  constructor(environment: { readonly self: NodeId; readonly peers: Pick<Environment['peers'], 'why'> }) {
    this.#environment = environment;
  }

  /** The epoch that a replica knew and this node did not, when nothing was minted because of it. */
  get newerEpoch(): Epoch | undefined {
    return this.#newerEpoch;
  }

  /** Whether nothing was minted because another attempt at the same request was there first. */
  get mintedBefore(): boolean {
    return this.#reasonNotMinted instanceof AlreadyMinted;
  }

  /** The write is given to one more node. */
  given(): void {
    this.#mayHold += 1;
  }

  /** A node that was given it has not confirmed it. */
  notTaken(by: NodeId, result: Exclude<CallResult<unknown>, { kind: 'reply' }>): void {
    this.#refusals.push({ by, why: result.kind === 'refused' ? result.code : result.reason });
    if (result.kind !== 'lost' && !(result.kind === 'refused' && mayHaveBegun(result.code))) this.#mayHold -= 1;
  }

  /** Nothing was minted, so nobody has been given anything. */
  notMinted(error: unknown): void {
    const refusal = this.#refusedHere(error);
    this.#reasonNotMinted = error;
    if (refusal?.code === STALE) this.#newerEpoch = refusal.value as Epoch;
  }

  /** This node has minted and sent, and could not commit. */
  notCommitted(error: unknown): void {
    this.#refusedHere(error);
    if (error instanceof DiskError && !error.uncertain) this.#mayHold -= 1;
  }

  #refusedHere(error: unknown): Refusal | undefined {
    const refusal = asRefusal(error);
    if (!(refusal instanceof Refusal)) return undefined;
    this.#refusals.push({ by: this.#environment.self, why: refusal.code });
    return refusal;
  }

  /** `away` are the owners that could not even be asked, and for whom nobody stands in. */
  failure(
    ending: Failure['ending'],
    written: Dot | undefined,
    zone: string | undefined,
    away: readonly Member[],
  ): Failure {
    const [mayHold, refusals, reasonNotMinted] = [this.#mayHold, this.#refusals, this.#reasonNotMinted];
    const unasked = away.map(
      ({ id, state }) => `${id}: ${state === 'refilling' ? state : this.#environment.peers.why(id)}`,
    );
    return { ending, mayHold, refusals, unasked, reasonNotMinted, written, zone };
  }
}

/** What no replica gives as a reason is a fault of the program. */
export function tellFaultyMint(log: Log, requestId: string, error: unknown): void {
  const isExpected =
    asRefusal(error) instanceof Refusal ||
    [TooManySiblings, TooLarge, Unfitting, AlreadyMinted].some((kind) => error instanceof kind);
  if (!isExpected) log.error('mint-failed', { requestId, reason: String(error) });
}
