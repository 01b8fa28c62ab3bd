/**
 * Brings owners of strong keys up to date that were away when these were changed. A change needs a majority, and an owner that missed
 * it gets it with the next one: of a key that nobody changes any more it would never have the latest value, and another owner fewer might be
 * lost. So owners compare what they have accepted, without the values, and where it is not the same a round that changes nothing is
 * made, whose value goes to all of them: when rows are read through (register-upkeep.ts), and when an operator has all of them read.
 */

import type { Bucket } from '#buckets/definition.ts';
import { agreedValue } from '#consensus/register.ts';
import type { RecordName } from '#replica/tables.ts';
import { Refusal } from '#wire/message.ts';
import { DiskError, type Counter } from '#world/world.ts';
import { ownRouteOf, type Environment } from './environment.ts';
import { isMoving } from './register-erase.ts';
import { RegisterRound } from './register-round.ts';
import type { RegisterRows } from './register-rows.ts';

const CALL_MS = 5000;

export interface RegisterLevelOptions {
  readonly environment: Environment;
  readonly rows: RegisterRows;
  /** Makes a round without a change, at the owner that makes those of the key. */
  readonly look: (bucket: Bucket, key: Uint8Array, deadline: number) => Promise<{ readonly kind: 'done' | 'failed' }>;
}

export class RegisterLevel {
  readonly #options: RegisterLevelOptions;
  readonly #apart: Counter;

  constructor(options: RegisterLevelOptions) {
    this.#options = options;
    const help = 'Strong keys of which owners had not accepted the same when they were compared';
    this.#apart = options.environment.world.metrics.counter('quoral_registers_apart_total', help);
  }

  /**
   * All of them at once, so they should be few. Of how many the owners could not be compared, or not be brought to the same: some are away,
   * or about to be others.
   */
  async level(names: readonly RecordName[]): Promise<number> {
    const { log } = this.#options.environment.world;
    const one = async (name: RecordName): Promise<boolean> => {
      try {
        return await this.#level(name);
      } catch (error) {
        // The ring or the bucket is another one meanwhile; of a disk that has failed others tell.
        if (!(error instanceof Refusal) && !(error instanceof DiskError))
          log.error('register-faulty', { reason: String(error) });
        return false;
      }
    };
    return (await Promise.all(names.map(one))).filter((isLevel) => !isLevel).length;
  }

  async #level(name: RecordName): Promise<boolean> {
    const { environment, rows, look } = this.#options;
    const own = ownRouteOf(environment, name);
    // Of no bucket, or not this node's any more: it goes.
    if (own === undefined) return true;
    if (isMoving(environment, own.route)) return false;
    const { bucket, route } = own;
    const { key } = name;
    const deadline = environment.world.clock.monotonic() + CALL_MS;
    const quorum = { members: route.owners, needed: route.owners.length };
    const round = new RegisterRound({ environment, rows, route, key, deadline, trace: undefined, quorum });
    if (round.hopeless() !== undefined) return false;
    const answers = await round.ballots();
    if (answers.kind !== 'majority') return false;
    if (agreedValue(answers.values, quorum.needed) !== undefined) return true;
    this.#apart.add();
    return (await look(bucket, key, deadline)).kind === 'done';
  }
}
