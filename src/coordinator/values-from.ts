/**
 * Who is asked for the values of a key in a round of reading: one owner for all of them, the others only as far as they are
 * small. The next one that is asked takes the place of one that has failed or is slow. What this node has itself the others need not
 * send again: who has the same says so, and who has something else sends it at once.
 */

import { abridged, type Abridged } from '#causality/abridged.ts';
import { present } from '#kernel/assert.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { FetchReply, SameReply, WholeReply } from '#replica/messages.ts';
import type { CoordinatorSettings } from './environment.ts';
import type { RoundRequest } from './requests.ts';

export class ValuesFrom {
  readonly #upTo: number | undefined;
  readonly #leastSaved: number;
  #source: NodeId | undefined;
  /** What this node has, and the same abridged. */
  #own: WholeReply | undefined;
  #unless: Abridged | undefined;

  constructor({ retryId, whole }: RoundRequest, { valuesUpTo, leastSaved }: CoordinatorSettings) {
    this.#leastSaved = leastSaved;
    // What a request has become is judged by all that is known, even of too few.
    this.#upTo = retryId === undefined && whole !== true ? valuesUpTo : undefined;
  }

  /** Up to how many bytes the one that is asked now is to send values; undefined for all. */
  limitFor(asked: NodeId): number | undefined {
    if (this.#source !== undefined) return this.#upTo;
    this.#source = asked;
    return undefined;
  }

  /** This node's own replica has answered. */
  answeredHere(reply: FetchReply): void {
    const { state, decoded } = reply;
    if (this.#upTo === undefined || !state || decoded === undefined || state.length > this.#upTo) return;
    this.#unless = abridged(state, decoded, this.#leastSaved);
    if (this.#unless !== undefined) this.#own = reply;
  }

  /** What the one that is asked now need not send, abridged; undefined when nothing is known. */
  get unless(): Abridged | undefined {
    return this.#unless;
  }

  /** The answer of an owner, as it would be had he sent all that he has. */
  inFull(reply: FetchReply): Exclude<FetchReply, SameReply> {
    return reply.isSame === true ? present(this.#own, 'what the others were told') : reply;
  }

  failed(id: NodeId): void {
    if (this.#source === id) this.#source = undefined;
  }

  /** Those that were asked and have not answered take too long. */
  slow(asked: readonly NodeId[]): void {
    if (this.#source !== undefined && asked.includes(this.#source)) this.#source = undefined;
  }
}
