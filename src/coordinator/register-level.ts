/**
 * Brings owners of strong keys up to date that were away when these were changed. A change needs a majority, and an owner that missed
 * it gets it with the next one: of a key that nobody changes any more it would never have the latest value, and another owner fewer might be
 * lost. So whoever has all rows read has the owners compare what they have accepted, without the values, and where it is not the
 * same a round that changes nothing is made, whose value goes to all of them.
 */

import type { Bucket } from '#buckets/definition.ts';
import { agreedValue } from '#consensus/register.ts';
import type { RecordName } from '#replica/tables.ts';
import { Refusal } from '#wire/message.ts';
import type { Counter } from '#world/world.ts';
import { ownRouteOf, type Environment } from './environment.ts';
import { isMoving } from './register-erase.ts';
import { RegisterRound } from './register-round.ts';
import type { RegisterRows } from './register-rows.ts';

const CALL_MS = 5000;

export interface RegisterLevelOptions {
  readonly environment: Environment;
  readonly rows: RegisterRows;
  /** Makes a round without a change, at the owner that makes those of the key. */
  readonly look: (bucket: Bucket, key: Uint8Array, deadline: number) => Promise<unknown>;
}

export class RegisterLevel {
  readonly #options: RegisterLevelOptions;
  readonly #apart: Counter;

  constructor(options: RegisterLevelOptions) {
    this.#options = options;
    const help = 'Strong keys of which owners had not accepted the same when a repair looked at them';
    this.#apart = options.environment.world.metrics.counter('quoral_registers_apart_total', help);
  }

  /** All of them at once, so they should be few. Of owners that are away, or about to be others, nothing is asked. */
  async level(names: readonly RecordName[]): Promise<void> {
    const { environment } = this.#options;
    const one = async (name: RecordName): Promise<void> => {
      try {
        await this.#level(name);
      } catch (error) {
        // The ring or the bucket is another one meanwhile.
        if (!(error instanceof Refusal)) environment.world.log.error('register-faulty', { reason: String(error) });
      }
    };
    await Promise.all(names.map(one));
  }

  async #level(name: RecordName): Promise<void> {
    const { environment, rows, look } = this.#options;
    const own = ownRouteOf(environment, name);
    if (own === undefined || isMoving(environment, own.route)) return;
    const { bucket, route } = own;
    const { key } = name;
    const deadline = environment.world.clock.monotonic() + CALL_MS;
    const quorum = { members: route.owners, needed: route.owners.length };
    const round = new RegisterRound({ environment, rows, route, key, deadline, trace: undefined, quorum });
    if (round.hopeless() !== undefined) return;
    const answers = await round.ballots();
    if (answers.kind !== 'majority' || agreedValue(answers.values, quorum.needed) !== undefined) return;
    this.#apart.add();
    await look(bucket, key, deadline);
  }
}
