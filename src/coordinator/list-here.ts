/**
 * This node's part of a page: its rows of some partitions, in the order of their keys, with what each says about its key.
 * The rows of a bucket are neighbours on the disk in just that order, so nothing but the rows is needed. Work on one page
 * is bounded in rows and bytes, and the thread is given back between parts of it.
 */

import { encodeGlimpse } from '#causality/glimpse.ts';
import { CorruptState, decodeState } from '#causality/state-codec.ts';
import { ballotToWire } from '#consensus/vote-codec.ts';
import { compareBytes, concatBytes } from '#kernel/bytes.ts';
import { CORRUPT_ROW } from '#replica/records.ts';
import { asRefusal, DISK_FAILED, REFILLING } from '#replica/refusals.ts';
import { fence } from '#replica/scope.ts';
import { recordKey, recordPrefix, RECORDS, REGISTERS } from '#replica/tables.ts';
import { hashKey, partitionOf } from '#ring/locate.ts';
import type { Ring } from '#ring/ring.ts';
import { encode } from '#wire/codec.ts';
import { MalformedMessage, Refusal } from '#wire/message.ts';
import type { Environment } from './environment.ts';
import { isLive } from './get.ts';
import type { Entry } from './list-merge.ts';
import type { ListReply, ListRequest } from './list-messages.ts';
import { hasBit } from './list-plan.ts';
import { decodeRegister } from './register-row-codec.ts';
import { decodeShown } from './register-value-codec.ts';

/** What one page may look at: some milliseconds of the thread, in parts. */
const ROWS_MAX = 2048;
const BYTES_MAX = 4 * 1024 * 1024;
/** Rows read at once, and their bytes: beyond them only the row that reaches them. */
const PART_ROWS_MAX = 128;
const PART_BYTES = 512 * 1024;
/** Of the first part: most listings of few keys need no more. */
const PART_ROWS_FIRST = 8;
/** Of the answer. */
const ENTRY_BYTES_MAX = 1024 * 1024;

type Summary = (row: Uint8Array) => Uint8Array;

/** Rejects with {@link Refusal}. */
export async function listHere(environment: Environment, request: ListRequest, deadline: number): Promise<ListReply> {
  const { knowledge, world, replica } = environment;
  const { scope } = request;
  if (scope.epoch > knowledge.epoch()) await knowledge.catchUp(scope.epoch, deadline);
  mayAnswer(environment, request);
  const before = knowledge.epoch();
  const scan = new Scan(environment, request);
  // Of many listings at once each part waits for its turn, beside what else is large.
  await replica.turns.take(PART_BYTES, deadline);
  while (!scan.part()) {
    await new Promise<void>((resolve) => world.clock.defer(resolve));
    await replica.turns.take(PART_BYTES, deadline);
    if (world.clock.monotonic() >= deadline) throw new Refusal('deadline', 'the time of the listing is over');
  }
  try {
    // What was seen and is being synced must not be forgotten in a crash.
    await replica.commits.syncing();
  } catch (error) {
    throw asRefusal(error);
  }
  // Ownership may have moved while the thread was somewhere else.
  if (knowledge.epoch() !== before) mayAnswer(environment, request);
  return scan.reply();
}

function mayAnswer({ knowledge, world }: Environment, { scope, partitions }: ListRequest): void {
  for (const partition of partitionsIn(partitions, knowledge.ring())) fence({ ...scope, partition }, knowledge);
  if (knowledge.refilling()) throw new Refusal(REFILLING, 'this node has lost its disk and cannot vouch for absences');
  const failure = world.disk.failure();
  if (failure !== undefined && failure.kind !== 'full') throw new Refusal(DISK_FAILED, failure.message);
}

function* partitionsIn(bits: Uint8Array, { partitionCount }: Ring): Generator<number> {
  for (let partition = 0; partition < partitionCount; partition++) if (hasBit(bits, partition)) yield partition;
}

class Scan {
  readonly #environment: Environment;
  readonly #request: ListRequest;
  readonly #table: string;
  readonly #summary: Summary;
  readonly #prefixBytes: number;
  readonly #end: Uint8Array;
  #from: Uint8Array;
  readonly #entries: Entry[] = [];
  readonly #unable = new Set<number>();
  #partRows = PART_ROWS_FIRST;
  #rows = 0;
  #bytes = 0;
  #entryBytes = 0;
  #upTo: Uint8Array | null = null;

  constructor(environment: Environment, request: ListRequest) {
    this.#environment = environment;
    this.#request = request;
    const { scope, prefix, after } = request;
    const { bucket, incarnation } = scope;
    const strong = environment.resolveBucket(bucket).properties.consistency === 'strong';
    this.#table = strong ? REGISTERS : RECORDS;
    this.#summary = strong ? registerSummary(environment) : recordSummary(environment);
    this.#prefixBytes = recordPrefix(bucket, incarnation).length;
    this.#end = afterPrefix(recordKey(bucket, incarnation, prefix));
    const start = recordKey(bucket, incarnation, prefix);
    const next = concatBytes([recordKey(bucket, incarnation, after), Uint8Array.of(0)]);
    this.#from = after.length === 0 || compareBytes(start, next) > 0 ? start : next;
  }

  /** Looks at some rows; true when the page is done. */
  part(): boolean {
    const limit = this.#partRows;
    const range = { from: this.#from, to: this.#end, limit, bytes: PART_BYTES };
    const rows = this.#environment.world.disk.range(this.#table, range);
    let bytes = 0;
    for (const [rowKey, row] of rows) {
      bytes += row.length;
      this.#look(rowKey.subarray(this.#prefixBytes), row);
      if (this.#entries.length < this.#request.limit && this.#entryBytes < ENTRY_BYTES_MAX) continue;
      this.#upTo = rowKey.subarray(this.#prefixBytes);
      return true;
    }
    this.#rows += rows.length;
    this.#bytes += bytes;
    const last = rows.at(-1);
    if (last === undefined || (rows.length < limit && bytes < PART_BYTES)) return true;
    this.#from = concatBytes([last[0], Uint8Array.of(0)]);
    this.#partRows = PART_ROWS_MAX;
    if (this.#rows < ROWS_MAX && this.#bytes < BYTES_MAX) return false;
    this.#upTo = last[0].subarray(this.#prefixBytes);
    return true;
  }

  reply(): ListReply {
    this.#lookForMarks();
    return { entries: this.#entries, upTo: this.#upTo, unable: [...this.#unable] };
  }

  #look(key: Uint8Array, row: Uint8Array): void {
    const partition = this.#partitionOf(key);
    if (!hasBit(this.#request.partitions, partition)) return;
    try {
      const summary = this.#summary(row);
      this.#entries.push([key, summary]);
      this.#entryBytes += key.length + summary.length;
    } catch (error) {
      if (!(error instanceof CorruptState || error instanceof MalformedMessage)) throw error;
      this.#unable.add(partition);
      if (this.#table === RECORDS) this.#tellDamage(partition, key);
    }
  }

  /** Whoever reads the row finds out, and forgets it. */
  #tellDamage(partition: number, key: Uint8Array): void {
    const { replica } = this.#environment;
    const { n, bucket, incarnation } = this.#request.scope;
    try {
      replica.record({ n, partition, bucket, incarnation }, key);
    } catch (error) {
      if (!(error instanceof Refusal && error.code === CORRUPT_ROW)) throw error;
    }
  }

  /** Rows that were forgotten are not seen, and may be anywhere. */
  #lookForMarks(): void {
    const { bucket, incarnation } = this.#request.scope;
    for (const { place } of this.#environment.replica.damaged.list()) {
      if (place.bucket !== bucket || place.incarnation !== incarnation) continue;
      if (hasBit(this.#request.partitions, place.partition)) this.#unable.add(place.partition);
    }
  }

  #partitionOf(key: Uint8Array): number {
    const ring = this.#environment.knowledge.ring();
    return partitionOf(ring, hashKey(ring, this.#request.scope.bucket, key));
  }
}

function recordSummary({ world }: Environment): Summary {
  const { crc32 } = world.digest;
  return (row) => encodeGlimpse(decodeState(row, crc32));
}

/** MessagePack of [ballot of what was accepted last, whether that is live], or of null where nothing was accepted. */
function registerSummary({ world }: Environment): Summary {
  const { crc32 } = world.digest;
  return (row) => {
    const { accepted } = decodeRegister(row, crc32);
    if (accepted === null) return encode(null);
    const now = world.clock.wall();
    const live = decodeShown(accepted.value, crc32).state.versions.some((version) => isLive(version, now));
    return encode([ballotToWire(accepted.ballot), live]);
  };
}

/** The first key after all that begin so. The last byte of a row's name before the key is not always 255, so there is one. */
function afterPrefix(prefix: Uint8Array): Uint8Array {
  let length = prefix.length;
  while (prefix[length - 1] === 0xff) length--;
  const end = prefix.slice(0, length);
  end[length - 1]! += 1;
  return end;
}
