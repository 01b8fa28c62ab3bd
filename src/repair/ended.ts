/**
 * Versions that have ended beside others that live, such as siblings with a time to live: they are given up with the tombstones
 * of their partition, by the same proof (reclaim.ts). What all owners must agree on is less: not the rows, which may change all
 * the time, but that nobody knows of a later end.
 */

import { withoutEnded, endNoLater, type EndedVersion } from '#causality/ended.ts';
import { EXPIRED_FOR_SURE_MS } from '#causality/operate.ts';
import { encodeState } from '#causality/state-codec.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import type { StoredState } from '#replica/records.ts';
import { orRefusal } from '#replica/refusals.ts';
import { recordName } from '#replica/tables.ts';
import { Refusal } from '#wire/message.ts';
import { strippedOf } from './dead-rows.ts';
import {
  ConfirmEndedMessage,
  ENDED_MAX,
  GiveUpEndedMessage,
  type ConfirmEndedRequest,
  type EndedRow,
  type GiveUpEndedRequest,
} from './ended-messages.ts';
import type { ExchangeEnvironment } from './exchange.ts';
import { requireOwner } from './reclaim-owner.ts';
import { PAGE_BYTES } from './tree-source.ts';
import type { TreePlace } from './tree-tables.ts';

type EndedOptions = Pick<ExchangeEnvironment, 'world' | 'messaging' | 'knowledge' | 'replica'> & {
  readonly ready: () => boolean;
};

export class EndedVersions {
  readonly #options: EndedOptions;

  /** Registers the handlers. */
  constructor(options: EndedOptions) {
    this.#options = options;
    const { messaging } = options;
    messaging.handle(ConfirmEndedMessage, (request) => orRefusal(this.confirm(request)));
    messaging.handle(GiveUpEndedMessage, (request) => orRefusal(this.giveUp(request)));
  }

  /**
   * Of these rows the versions that have ended for all whose clocks are trusted, and `age` milliseconds ago: so many as go together, and of
   * as many bytes of rows as other messages of repair, since every owner looks at the rows in one turn.
   */
  of(place: TreePlace, rowKeys: readonly Uint8Array[], age: number): readonly EndedRow[] {
    const before = this.#options.world.clock.wall() - Math.max(age, EXPIRED_FOR_SURE_MS);
    let room = ENDED_MAX;
    let bytes = 0;
    return rowKeys.flatMap((rowKey) => {
      const row = room > 0 && bytes <= PAGE_BYTES ? this.#row(place, rowKey) : undefined;
      const versions = row === undefined ? [] : strippedOf(row.state).filter(({ expiresAt }) => expiresAt <= before);
      const ended = versions.slice(0, room).map(({ dot, expiresAt }): EndedVersion => ({ dot, expiresAt }));
      if (row === undefined || ended.length === 0) return [];
      room -= ended.length;
      bytes += row.encoded.length;
      return [{ rowKey, ended }];
    });
  }

  async confirm({ place, changedIn, rows }: ConfirmEndedRequest): Promise<readonly number[]> {
    this.#checkReady();
    const { knowledge, replica, world } = this.#options;
    requireOwner(knowledge, place, changedIn);
    // Not by the caller's clock alone, which may be wrong for a moment.
    const now = world.clock.wall();
    const agreed = rows.flatMap(({ rowKey, ended }, i) => {
      const row = this.#row(place, rowKey);
      const isOver = ended.every(({ expiresAt }) => expiresAt <= now);
      return isOver && row !== undefined && endNoLater(row.state, ended) ? [i] : [];
    });
    // What has replaced a version must not be lost with the power.
    await replica.commits.syncing();
    return agreed;
  }

  async giveUp({ place, changedIn, floor, rows }: GiveUpEndedRequest): Promise<number> {
    this.#checkReady();
    const { replica, knowledge } = this.#options;
    if (replica.floors.of(place) < floor) throw new Refusal('no-promise', 'this node has not promised that');
    return await replica.commits.submit({
      run: (transaction) => {
        requireOwner(knowledge, place, changedIn);
        return rows.filter((row) => this.#letGo(transaction, place, row)).length;
      },
      bytes: 0,
      durable: true,
    });
  }

  #letGo(transaction: GroupTransaction, place: TreePlace, { rowKey, ended }: EndedRow): boolean {
    const { replica, world } = this.#options;
    const { key, ...life } = recordName(rowKey);
    const at = { ...place, ...life };
    if (replica.damaged.has(at, key)) return false;
    const before = replica.records.read(at, key, transaction)?.state;
    const after = before === undefined ? undefined : withoutEnded(before, ended);
    if (after === undefined || after === before) return false;
    const encoded = encodeState(after, world.digest.crc32);
    replica.records.write(transaction, at, key, before, { state: after, encoded });
    return true;
  }

  /** Undefined where there is no row that can be read. */
  #row(place: TreePlace, rowKey: Uint8Array): StoredState | undefined {
    const { key, ...life } = recordName(rowKey);
    try {
      return this.#options.replica.record({ ...place, ...life }, key);
    } catch (error) {
      if (error instanceof Refusal) return undefined;
      throw error;
    }
  }

  #checkReady(): void {
    if (!this.#options.ready()) throw new Refusal('not-ready', 'this node does not serve yet');
  }
}
