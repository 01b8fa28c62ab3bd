/**
 * States of other owners on their way into the replica's own. Those that came together are queued together, so that most
 * often one commit takes them; what becomes of each is noted, and whoever waits for them learns it once, when all have ended.
 */

import { CorruptState, decodeState } from '#causality/state-codec.ts';
import type { State } from '#causality/state.ts';
import type { Checksum } from '#kernel/native.ts';
import { MalformedMessage } from '#wire/message.ts';
import type { Span } from '#world/world.ts';
import type { GroupCommit, GroupOperation, GroupTransaction, Outcome } from './group-commit.ts';
import type { StoreRequest } from './messages.ts';
import { asRefusal } from './refusals.ts';

export interface Storing {
  readonly crc32: Checksum;
  readonly merge: (request: StoreRequest, incoming: State, transaction: GroupTransaction) => void;
  readonly trace: Span | undefined;
}

/** What has failed each of the stores, and undefined where nothing has. Throws {@link MalformedMessage} for what is no state. */
export function storeTogether(
  commits: Pick<GroupCommit, 'enqueue'>,
  requests: readonly StoreRequest[],
  storing: Storing,
): Promise<readonly (Error | undefined)[]> {
  const states = requests.map(({ state }) => decoded(state, storing.crc32));
  if (requests.length === 0) return Promise.resolve([]);
  return new Promise((resolve) => {
    const ending: Ending = { failures: requests.map(() => undefined), left: requests.length, resolve };
    for (const [i, request] of requests.entries()) {
      const store = new Store(request, states[i]!, storing, i, ending);
      commits.enqueue(store, store);
    }
  });
}

/** Shared by the stores that came together. */
interface Ending {
  readonly failures: (Error | undefined)[];
  left: number;
  readonly resolve: (failures: readonly (Error | undefined)[]) => void;
}

/** One of them: an object for what it does and for how it ends, where functions and promises would be several. */
class Store implements GroupOperation<void>, Outcome<void> {
  readonly #request: StoreRequest;
  readonly #incoming: State;
  readonly #storing: Storing;
  readonly #place: number;
  readonly #ending: Ending;

  constructor(request: StoreRequest, incoming: State, storing: Storing, place: number, ending: Ending) {
    this.#request = request;
    this.#incoming = incoming;
    this.#storing = storing;
    this.#place = place;
    this.#ending = ending;
  }

  get bytes(): number {
    return this.#request.state.length;
  }

  get durable(): boolean {
    return this.#request.durable;
  }

  get trace(): Span | undefined {
    return this.#storing.trace;
  }

  run(transaction: GroupTransaction): void {
    this.#storing.merge(this.#request, this.#incoming, transaction);
  }

  resolve(): void {
    const ending = this.#ending;
    ending.left -= 1;
    if (ending.left === 0) ending.resolve(ending.failures);
  }

  reject(error: unknown): void {
    const failure = asRefusal(error);
    this.#ending.failures[this.#place] = failure instanceof Error ? failure : new Error(String(failure));
    this.resolve();
  }
}

function decoded(state: Uint8Array, crc32: Checksum): State {
  try {
    return decodeState(state, crc32);
  } catch (error) {
    throw error instanceof CorruptState ? new MalformedMessage(`state in replica.store: ${error.message}`) : error;
  }
}
