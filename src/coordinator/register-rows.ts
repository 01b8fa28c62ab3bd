/**
 * This node as an owner of strong keys: the pure register (consensus/register.ts) with its rows on disk.
 *
 * An answer leaves only when the register is on stable storage. A damaged row is refused, never taken for an empty one: an
 * acceptor that forgets lets two values be chosen. So does an owner that has lost its disk, which therefore has no vote
 * until it was filled again.
 */

import type { State } from '#causality/state.ts';
import type { Accepted } from '#consensus/acceptor.ts';
import type { Ballot } from '#consensus/facts.ts';
import { acceptRegister, EMPTY_REGISTER, prepareRegister, type Register } from '#consensus/register.ts';
import { ballotFromWire, ballotToWire } from '#consensus/vote-codec.ts';
import { equalBytes } from '#kernel/bytes.ts';
import type { GroupTransaction } from '#replica/group-commit.ts';
import { CORRUPT_ROW } from '#replica/records.ts';
import { asRefusal, REFILLING } from '#replica/refusals.ts';
import type { Replica } from '#replica/replica.ts';
import { fence, type Knowledge, type Scope } from '#replica/scope.ts';
import { recordKey, REGISTERS, type RecordName } from '#replica/tables.ts';
import { decode, encode } from '#wire/codec.ts';
import { MalformedMessage, Refusal } from '#wire/message.ts';
import { asArray, asBytes } from '#wire/shape.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';
import type { DiskReader, Span, World } from '#world/world.ts';
import type {
  AcceptReply,
  AcceptRequest,
  PeekReply,
  PeekRequest,
  PrepareReply,
  PrepareRequest,
} from './register-messages.ts';
import { decodeValue } from './register-value-codec.ts';

const CHECKSUM_BYTES = 4;

export interface RegisterRowsOptions {
  readonly world: Pick<World, 'disk' | 'digest' | 'log'>;
  readonly replica: Replica;
  readonly knowledge: Knowledge;
  /** Told of every ballot that this node sees as an owner. */
  readonly observe: (ballot: Ballot) => void;
}

type Vote = Register<Uint8Array>;

export class RegisterRows {
  readonly #options: RegisterRowsOptions;

  constructor(options: RegisterRowsOptions) {
    this.#options = options;
  }

  /** Rejects with {@link Refusal}, as all of these do. */
  async peek({ scope, key }: PeekRequest): Promise<PeekReply> {
    const { replica, world } = this.#options;
    try {
      await replica.commits.synced(REGISTERS, recordKey(scope.bucket, scope.incarnation, key));
    } catch (error) {
      throw asRefusal(error);
    }
    this.#mayVote(scope);
    return { accepted: this.#read(scope, key, world.disk).accepted };
  }

  async prepare({ scope, key, ballot }: PrepareRequest, deadline: number, trace?: Span): Promise<PrepareReply> {
    this.#options.observe(ballot);
    return this.#vote(scope, key, { bytes: 0, deadline, trace }, (register, put) => {
      const step = prepareRegister(register, ballot);
      if (step.kind === 'rejected') return step;
      put(step.register);
      return { kind: 'promised', accepted: step.register.accepted };
    });
  }

  async accept(
    { scope, key, ballot, value, next }: AcceptRequest,
    deadline: number,
    trace?: Span,
  ): Promise<AcceptReply> {
    this.#options.observe(next ?? ballot);
    return this.#vote(scope, key, { bytes: value.length, deadline, trace }, (register, put) => {
      const step = acceptRegister(register, { ballot, value }, next, equalBytes);
      if (step.kind === 'rejected') return step;
      put(step.register);
      return { kind: 'accepted' };
    });
  }

  /** The state that this node has accepted last, perhaps not by a majority; undefined for none. */
  accepted({ bucket, incarnation, key }: RecordName): State | undefined {
    const { digest, disk } = this.#options.world;
    const row = disk.get(REGISTERS, recordKey(bucket, incarnation, key));
    const last = row === undefined ? null : this.#decode(bucket, key, row).accepted;
    return last === null ? undefined : decodeValue(last.value, digest.crc32).state;
  }

  /** Refuses a row that is damaged. */
  requireWhole({ bucket, key }: Pick<RecordName, 'bucket' | 'key'>, row: Uint8Array): void {
    this.#decode(bucket, key, row);
  }

  /** Joins rows of another owner with this node's own, on stable storage. */
  async mergeAll(
    rows: readonly (readonly [rowKey: Uint8Array, row: Uint8Array])[],
    merge: (mine: Vote, theirs: Vote) => Vote,
  ): Promise<void> {
    const { crc32 } = this.#options.world.digest;
    await Promise.all(
      rows.map(async ([rowKey, row]) => {
        const theirs = decodeRegister(row, crc32);
        await this.#options.replica.commits.submit({
          run: (transaction) => {
            const own = transaction.get(REGISTERS, rowKey);
            const mine = own === undefined ? EMPTY_REGISTER : decodeRegister(own, crc32);
            transaction.put(REGISTERS, rowKey, encodeRegister(merge(mine, theirs), crc32));
          },
          bytes: row.length,
          durable: true,
        });
      }),
    );
  }

  async #vote<Reply>(
    scope: Scope,
    key: Uint8Array,
    { bytes, deadline, trace }: { readonly bytes: number; readonly deadline: number; readonly trace: Span | undefined },
    decide: (register: Vote, put: (next: Vote) => void) => Reply,
  ): Promise<Reply> {
    const { replica, knowledge } = this.#options;
    if (scope.epoch > knowledge.epoch()) await knowledge.catchUp(scope.epoch, deadline);
    try {
      return await replica.commits.submit({
        run: (transaction) => {
          this.#mayVote(scope);
          return decide(this.#read(scope, key, transaction), (next) => this.#write(scope, key, next, transaction));
        },
        bytes,
        durable: true,
        trace,
      });
    } catch (error) {
      throw asRefusal(error);
    }
  }

  #mayVote(scope: Scope): void {
    const { knowledge } = this.#options;
    fence(scope, knowledge);
    if (knowledge.refilling()) throw new Refusal(REFILLING, 'this node has lost its disk and has no vote yet');
  }

  #read(scope: Scope, key: Uint8Array, from: Pick<DiskReader, 'get'>): Vote {
    const row = from.get(REGISTERS, recordKey(scope.bucket, scope.incarnation, key));
    return row === undefined ? EMPTY_REGISTER : this.#decode(scope.bucket, key, row);
  }

  #decode(bucket: string, key: Uint8Array, row: Uint8Array): Vote {
    const { digest, log } = this.#options.world;
    try {
      return decodeRegister(row, digest.crc32);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      log.error('corrupt-row', { bucket, key, reason: error.message });
      throw new Refusal(CORRUPT_ROW, `the register of this key is damaged: ${error.message}`);
    }
  }

  #write(scope: Scope, key: Uint8Array, register: Vote, transaction: GroupTransaction): void {
    const row = encodeRegister(register, this.#options.world.digest.crc32);
    transaction.put(REGISTERS, recordKey(scope.bucket, scope.incarnation, key), row);
  }
}

/** MessagePack of [promised, [accepted ballot, value]], then the CRC-32 of that as four bytes. */
export function encodeRegister({ promised, accepted }: Vote, crc32: (bytes: Uint8Array) => number): Uint8Array {
  const body = encode([
    promised && ballotToWire(promised),
    accepted && [ballotToWire(accepted.ballot), accepted.value],
  ]);
  const row = new Uint8Array(body.length + CHECKSUM_BYTES);
  row.set(body);
  new DataView(row.buffer).setUint32(body.length, crc32(body));
  return row;
}

/** @throws MalformedMessage for a row that is not what was written */
export function decodeRegister(row: Uint8Array, crc32: (bytes: Uint8Array) => number): Vote {
  const body = row.subarray(0, Math.max(0, row.length - CHECKSUM_BYTES));
  const stated = new DataView(row.buffer, row.byteOffset, row.length);
  if (row.length < CHECKSUM_BYTES || stated.getUint32(body.length) !== crc32(body)) {
    throw new MalformedMessage('the checksum does not fit');
  }
  const fields = asArray(decode(body), 2, 'register');
  const accepted = fields[1] === null ? null : asArray(fields[1], 2, 'accepted value');
  return {
    promised: fields[0] === null ? null : ballotFromWire(fields[0]),
    accepted: accepted && readAccepted(accepted),
  };
}

function readAccepted(fields: readonly unknown[]): Accepted<Uint8Array> {
  return { ballot: ballotFromWire(fields[0]), value: asBytes(fields[1], 'value', MAX_MESSAGE_BYTES) };
}
