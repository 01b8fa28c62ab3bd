/**
 * What the epoch chain keeps on disk: this node's votes, the epochs that it knows to be decided, and two rows that stay
 * for ever: which founding this disk belongs to, and that an epoch has named this disk.
 *
 * Every row carries a checksum. A damaged row is never skipped: an acceptor that forgets a vote is worse than none.
 */

import { equalBytes, fromHex, fromUtf8, toHex, utf8 } from '#kernel/bytes.ts';
import { present } from '#kernel/assert.ts';
import type { Epoch } from '#kernel/identity.ts';
import { decode, encode } from '#wire/codec.ts';
import type { Digest, DiskReader, DiskTransaction, TableDefinition } from '#world/world.ts';
import { NO_VOTE } from './acceptor.ts';
import type { Vote } from './acceptor.ts';
import { factsFromWire, factsToWire } from './facts-codec.ts';
import type { Facts } from './facts.ts';
import { voteFromWire, voteToWire } from './vote-codec.ts';

const VOTES = 'epoch_votes';
const EPOCHS = 'epochs';
const ORIGIN = 'epoch_origin';

export const EPOCH_TABLES: readonly TableDefinition[] = [
  { name: VOTES, rows: 'wide' },
  { name: EPOCHS, rows: 'wide' },
  { name: ORIGIN, rows: 'narrow' },
];

/** Decided epochs that are kept, so that a node can tell what became of a proposal that others have built upon. */
export const EPOCHS_KEPT = 16;

const ORIGIN_KEY = utf8('origin');
const NAMED_KEY = utf8('named');
const CHECKSUM_BYTES = 4;

/** A row of the chain's tables is not what was written. Its node must not vote or serve. */
export class DamagedRow extends Error {
  override readonly name = 'DamagedRow';
}

export class EpochTables {
  readonly #digest: Digest;

  constructor(digest: Digest) {
    this.#digest = digest;
  }

  readVote(reader: DiskReader, instance: Epoch): Vote<Facts> {
    const row = this.#read(reader, VOTES, epochKey(instance));
    return row === undefined ? NO_VOTE : this.#decoded(VOTES, instance, () => voteFromWire(decode(row)));
  }

  putVote(transaction: DiskTransaction, instance: Epoch, vote: Vote<Facts>): void {
    this.#put(transaction, VOTES, epochKey(instance), encode(voteToWire(vote)));
  }

  /** Forgets the votes on instances that are decided and durable: nobody is answered from them any more. */
  deleteVotesUpTo(transaction: DiskTransaction, decided: Epoch): void {
    const rows = transaction.range(VOTES, { to: epochKey(decided + 1), limit: EPOCHS_KEPT });
    for (const [key] of rows) transaction.delete(VOTES, key);
  }

  /** Adds decided epochs and forgets all but the last {@link EPOCHS_KEPT}. */
  putEpochs(transaction: DiskTransaction, decided: readonly Facts[]): void {
    for (const facts of decided) this.#put(transaction, EPOCHS, epochKey(facts.epoch), encode(factsToWire(facts)));
    const newest = decided.at(-1)?.epoch ?? 0;
    const oldestKept = Math.max(0, newest - EPOCHS_KEPT + 1);
    const outdated = transaction.range(EPOCHS, { to: epochKey(oldestKept), limit: 2 * EPOCHS_KEPT });
    for (const [key] of outdated) transaction.delete(EPOCHS, key);
  }

  newest(reader: DiskReader): Facts | undefined {
    const row = reader.range(EPOCHS, { limit: 1, reverse: true })[0];
    return row && this.#factsOf(row[0], row[1]);
  }

  /** One decided epoch; undefined when it was never learnt here or is no longer kept. */
  epoch(reader: DiskReader, number: number): Facts | undefined {
    const key = epochKey(number);
    const row = reader.get(EPOCHS, key);
    return row && this.#factsOf(key, row);
  }

  /** 64 hex digits: the digest of the first epoch of the cluster that this disk belongs to. */
  origin(reader: DiskReader): string | undefined {
    const row = this.#read(reader, ORIGIN, ORIGIN_KEY);
    return row && toHex(row);
  }

  putOrigin(transaction: DiskTransaction, origin: string): void {
    this.#put(transaction, ORIGIN, ORIGIN_KEY, present(fromHex(origin), 'origin in hex digits'));
  }

  /** The member name that a decided epoch has bound to this disk. */
  named(reader: DiskReader): string | undefined {
    const row = this.#read(reader, ORIGIN, NAMED_KEY);
    return row && fromUtf8(row);
  }

  putNamed(transaction: DiskTransaction, name: string): void {
    this.#put(transaction, ORIGIN, NAMED_KEY, utf8(name));
  }

  #factsOf(key: Uint8Array, row: Uint8Array): Facts {
    const number = epochOfKey(key);
    const payload = this.#checked(EPOCHS, key, row);
    return this.#decoded(EPOCHS, number, () => factsFromWire(decode(payload)));
  }

  #put(transaction: DiskTransaction, table: string, key: Uint8Array, payload: Uint8Array): void {
    const row = new Uint8Array(CHECKSUM_BYTES + payload.length);
    row.set(checksumBytes(this.#digest.crc32(payload)));
    row.set(payload, CHECKSUM_BYTES);
    transaction.put(table, key, row);
  }

  #read(reader: DiskReader, table: string, key: Uint8Array): Uint8Array | undefined {
    const row = reader.get(table, key);
    return row && this.#checked(table, key, row);
  }

  #checked(table: string, key: Uint8Array, row: Uint8Array): Uint8Array {
    const payload = row.subarray(CHECKSUM_BYTES);
    if (!equalBytes(row.subarray(0, CHECKSUM_BYTES), checksumBytes(this.#digest.crc32(payload)))) {
      throw new DamagedRow(`table ${table}, row ${toHex(key)}: the checksum does not match`);
    }
    return payload;
  }

  #decoded<T>(table: string, instance: number, read: () => T): T {
    try {
      return read();
    } catch (cause) {
      throw new DamagedRow(`table ${table}, epoch ${instance}: ${String(cause)}`, { cause });
    }
  }
}

/** Eight bytes, most significant first, so that rows lie in the order of their epochs. */
export function epochKey(instance: number): Uint8Array {
  const high = Math.floor(instance / 2 ** 32);
  return Uint8Array.of(
    high >>> 24,
    high >>> 16,
    high >>> 8,
    high,
    instance >>> 24,
    instance >>> 16,
    instance >>> 8,
    instance,
  );
}

function epochOfKey(key: Uint8Array): number {
  return key.reduce((value, byte) => value * 256 + byte, 0);
}

function checksumBytes(checksum: number): Uint8Array {
  return Uint8Array.of(checksum >>> 24, checksum >>> 16, checksum >>> 8, checksum);
}
