/**
 * Who is asked for the values of a key in a round of reading: one owner for all of them, the others only as far as they are
 * small. The next one that is asked takes the place of one that has failed or is slow.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { CoordinatorSettings } from './environment.ts';
import type { RoundRequest } from './requests.ts';

export class ValuesFrom {
  readonly #upTo: number | undefined;
  #source: NodeId | undefined;

  constructor({ retryId, whole }: RoundRequest, { valuesUpTo }: CoordinatorSettings) {
    // What a request has become is judged by all that is known, even of too few.
    this.#upTo = retryId === undefined && whole !== true ? valuesUpTo : undefined;
  }

  /** Up to how many bytes the one that is asked now is to send values; undefined for all. */
  limitFor(asked: NodeId): number | undefined {
    if (this.#source !== undefined) return this.#upTo;
    this.#source = asked;
    return undefined;
  }

  failed(id: NodeId): void {
    if (this.#source === id) this.#source = undefined;
  }

  /** Those that were asked and have not answered take too long. */
  slow(asked: readonly NodeId[]): void {
    if (this.#source !== undefined && asked.includes(this.#source)) this.#source = undefined;
  }
}
