/**
 * What becomes of owners that have missed a write: this node remembers them, so that hinted handoff brings them home. None of
 * it counts for the write; what cannot be remembered is told and counted, and left to anti-entropy.
 */

import type { Member } from '#ring/ring.ts';
import type { StoreRequest } from '#replica/messages.ts';
import type { Scope } from '#replica/scope.ts';
import { Refusal } from '#wire/message.ts';
import type { Environment } from './environment.ts';
import type { WriteRequest } from './requests.ts';
import type { StandIn } from './stand-ins.ts';

/** A hint that a fallback has stored. */
export interface StoredStandIn extends StandIn {
  /** 0 when nothing can be said about its row. */
  readonly revision: number;
}

/** Milliseconds for what this node keeps beside the request, whose deadline may be over. */
const KEEP_TIMEOUT_MS = 5000;

export class MissedWrites {
  readonly #environment: Environment;
  readonly #request: WriteRequest;
  readonly #scope: Scope;
  /** A hybrid time before that of the write. */
  readonly origin: number;

  /** `origin`: a time before anything was read for the write; undefined when nothing was. */
  constructor(environment: Environment, request: WriteRequest, scope: Scope, origin: number | undefined) {
    this.#environment = environment;
    this.#request = request;
    this.#scope = scope;
    this.origin = origin ?? environment.replica.now();
  }

  /** Notes here that the owner lacks what this owner has in its own record. */
  note(owner: Member): void {
    const { hints } = this.#environment;
    this.#told(owner, hints.note(this.#scope, this.#request.key, owner.index, this.origin));
  }

  /** Keeps the state for the owner: this node has no record of its own to speak of. */
  keep(owner: Member, store: StoreRequest): void {
    const { hints, world } = this.#environment;
    const deadline = world.clock.monotonic() + KEEP_TIMEOUT_MS;
    this.#told(owner, hints.keep({ store, owner: owner.index, sole: true, origin: this.origin }, deadline));
  }

  /** Tells the fallbacks that so many owners have the write that theirs are no only copies. */
  settle(stored: readonly StoredStandIn[]): void {
    const { n, partition, bucket, incarnation } = this.#scope;
    for (const { owner, fallback, revision } of stored) {
      if (revision === 0) continue;
      const name = { owner: owner.index, n, partition, bucket, incarnation, key: this.#request.key };
      this.#environment.hints.settled(fallback.id, name, revision);
    }
  }

  #told(owner: Member, stored: Promise<unknown>): void {
    stored.catch((error: unknown) => {
      const reason = error instanceof Refusal ? error.code : String(error);
      this.#environment.figures.hintsLeftOut.add();
      this.#environment.world.log.warn('hint-left-out', { peer: owner.id, requestId: this.#request.requestId, reason });
    });
  }
}
