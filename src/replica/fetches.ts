/**
 * Answering what this replica holds of a key: what may be seen of it, and when. Large rows are read one after the other.
 */

import type { Disk, World } from '#world/world.ts';
import { Refusal } from '#wire/message.ts';
import type { AnswerWay } from '#wire/messaging.ts';
import type { DamagedRows } from './damaged-rows.ts';
import { fetched, fetchedWithRetry } from './fetched.ts';
import type { GroupCommit } from './group-commit.ts';
import { LARGE_ROW_BYTES, type LargeTurns } from './large-turns.ts';
import type { FetchReply, FetchRequest } from './messages.ts';
import type { Records, StoredState } from './records.ts';
import { asRefusal, DISK_FAILED, REFILLING } from './refusals.ts';
import type { Retries } from './retries.ts';
import { fence, type Knowledge } from './scope.ts';
import { recordKey, RECORDS } from './tables.ts';

export interface FetchesOptions {
  readonly world: Pick<World, 'clock' | 'disk' | 'digest'>;
  readonly knowledge: Knowledge;
  readonly commits: Pick<GroupCommit, 'synced'>;
  readonly records: Records;
  readonly retries: Pick<Retries, 'read' | 'full'>;
  readonly damaged: Pick<DamagedRows, 'requireWhole'>;
  readonly turns: LargeTurns;
}

export class Fetches {
  readonly #options: FetchesOptions;
  readonly #disk: Disk;

  constructor(options: FetchesOptions) {
    this.#options = options;
    this.#disk = options.world.disk;
  }

  /**
   * Throws {@link Refusal}, or rejects with it: a row that cannot be trusted is no answer, not an absence. Nearly always there is
   * nothing to wait for, and each wait costs a turn. What is large waits for room on its `way` to another node.
   */
  fetch(request: FetchRequest, deadline: number, way?: AnswerWay): FetchReply | Promise<FetchReply> {
    const waits = this.#isBehind(request) || this.#syncOf(request) !== undefined;
    return waits ? this.#later(request, deadline, way) : this.#now(request, deadline, way);
  }

  async #later(request: FetchRequest, deadline: number, way: AnswerWay | undefined): Promise<FetchReply> {
    if (this.#isBehind(request)) await this.#options.knowledge.catchUp(request.scope.epoch, deadline);
    await this.#synced(request);
    return this.#now(request, deadline, way);
  }

  #now(request: FetchRequest, deadline: number, way: AnswerWay | undefined): FetchReply | Promise<FetchReply> {
    this.#mayAnswer(request);
    const { records, turns } = this.#options;
    const { scope, key, retryId, valuesUpTo } = request;
    try {
      const outline =
        retryId === undefined && valuesUpTo !== undefined ? records.outline(scope, key, valuesUpTo) : undefined;
      if (outline !== undefined) return { outline };
      const stored = records.recallUpTo(scope, key, this.#disk, LARGE_ROW_BYTES);
      if (typeof stored !== 'number') return this.#reply(request, stored);
      const turn = turns.take(stored, deadline, way);
      return turn === undefined ? this.#whole(request) : this.#inTurn(turn, request);
    } catch (error) {
      throw asRefusal(error);
    }
  }

  /** Much may have happened since the turn was asked for. */
  async #inTurn(turn: Promise<void>, request: FetchRequest): Promise<FetchReply> {
    await turn;
    await this.#synced(request);
    this.#mayAnswer(request);
    try {
      return this.#whole(request);
    } catch (error) {
      throw asRefusal(error);
    }
  }

  #whole(request: FetchRequest): FetchReply {
    return this.#reply(request, this.#options.records.recall(request.scope, request.key, this.#disk));
  }

  #reply(request: FetchRequest, stored: StoredState | undefined): FetchReply {
    const { scope, key, retryId, fingerprint } = request;
    const { records, retries, world } = this.#options;
    if (retryId !== undefined) {
      const known = { retry: retries.read(scope, key, retryId), retriesFull: retries.full() };
      return fetchedWithRetry(stored, known, fingerprint, world.clock.wall());
    }
    const reply = fetched(stored, request, world.digest.crc32);
    if (reply.outline !== undefined) records.keepOutline(scope, key, stored!.encoded.length, reply.outline);
    return reply;
  }

  #mayAnswer({ scope, key }: FetchRequest): void {
    const { damaged, knowledge } = this.#options;
    fence(scope, knowledge);
    if (knowledge.refilling())
      throw new Refusal(REFILLING, 'this node has lost its disk and cannot vouch for absences');
    const failure = this.#disk.failure();
    if (failure !== undefined && failure.kind !== 'full') throw new Refusal(DISK_FAILED, failure.message);
    damaged.requireWhole(scope, key);
  }

  #isBehind({ scope }: FetchRequest): boolean {
    return scope.epoch > this.#options.knowledge.epoch();
  }

  /** The end of the sync that makes the row durable which a reader would see now. */
  #syncOf({ scope: { bucket, incarnation }, key }: FetchRequest): Promise<void> | undefined {
    return this.#options.commits.synced(RECORDS, recordKey(bucket, incarnation, key));
  }

  async #synced(request: FetchRequest): Promise<void> {
    await this.#syncOf(request)?.catch((error: unknown) => Promise.reject(asRefusal(error)));
  }
}
