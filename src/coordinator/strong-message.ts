/**
 * A change of a strong key on its way to the owner that proposes it, and what became of it on the way back.
 */

import type { Bucket } from '#buckets/definition.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import type { Checksum } from '#kernel/native.ts';
import { epoch, type Epoch } from '#kernel/identity.ts';
import { MalformedMessage, type MessageType } from '#wire/message.ts';
import { asArray, asBoolean, asBytes, asInteger, asString } from '#wire/shape.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';
import { operationFromWire, operationToWire } from './operation-codec.ts';
import {
  conditionsFromWire,
  conditionsToWire,
  contentFromWire,
  contentToWire,
  dotFromWire,
  dotToWire,
  markFromWire,
  markToWire,
} from './request-codec.ts';
import type { Confirmation, FailureReason, Proposed, RegisterRequest } from './register-proposer.ts';
import { HOLDER_MAX, leaseFromWire, leaseToWire } from './register-value-codec.ts';
import type { ChangeResult, Lease, RegisterChange } from './register-value.ts';

/** A {@link RegisterRequest} without what each node knows for itself: the deadline and the bucket's properties. */
export interface ForwardedChange extends Omit<RegisterRequest, 'deadline' | 'bucket' | 'trace'> {
  readonly epoch: Epoch;
  readonly bucket: Pick<Bucket, 'name' | 'incarnation' | 'version'>;
  /** Of the caller's changes those with lower numbers have been answered (attempts.ts). */
  readonly answeredBelow: number;
}

const ID_BYTES = 16;
const REASONS: readonly FailureReason[] = ['unavailable', 'timeout', 'overloaded', 'too-large'];

function changeToWire(change: RegisterChange): unknown {
  switch (change.kind) {
    case 'look':
      return [change.kind];
    case 'write':
      if (change.operation !== undefined) {
        // A kind of its own, since an earlier release would take it for a deletion.
        const { operation, conditions, mark } = change;
        return [
          'operate',
          operationToWire(operation),
          conditionsToWire(conditions),
          markToWire(mark),
          change.expiresAt,
          change.returnBody,
        ];
      }
      return [
        change.kind,
        contentToWire(change.content),
        conditionsToWire(change.conditions),
        markToWire(change.mark),
        change.expiresAt,
        change.returnBody,
      ];
    case 'acquire':
      return [change.kind, change.holder, change.milliseconds];
    case 'release':
      return [change.kind, change.token];
  }
}

function changeFromWire(body: unknown): RegisterChange {
  const fields = asArray(body, 1, 'change');
  switch (fields[0]) {
    case 'look':
      return { kind: 'look' };
    case 'write':
      return {
        kind: 'write',
        content: contentFromWire(fields[1]),
        conditions: conditionsFromWire(fields[2]),
        mark: markFromWire(fields[3]),
        expiresAt: asInteger(fields[4], 'expiresAt'),
        returnBody: fields[5] !== false,
      };
    case 'operate':
      return {
        kind: 'write',
        content: null,
        operation: operationFromWire(fields[1]),
        conditions: conditionsFromWire(fields[2]),
        mark: markFromWire(fields[3]),
        expiresAt: asInteger(fields[4], 'expiresAt'),
        returnBody: fields[5] !== false,
      };
    case 'acquire':
      return {
        kind: 'acquire',
        holder: asString(fields[1], 'holder', HOLDER_MAX),
        milliseconds: asInteger(fields[2], 'milliseconds'),
      };
    case 'release':
      return { kind: 'release', token: asInteger(fields[1], 'token') };
    default:
      throw new MalformedMessage(`a change of the kind ${JSON.stringify(fields[0])?.slice(0, 40)}`);
  }
}

function resultToWire(result: ChangeResult, checksum: Checksum): unknown {
  switch (result.kind) {
    case 'state':
      return [result.kind, encodeState(result.state, checksum), leaseToWire(result.lease)];
    case 'written':
      return [result.kind, encodeState(result.state, checksum), dotToWire(result.written)];
    case 'precondition-failed':
      return [result.kind, result.etag ?? null];
    case 'unfitting':
      return [result.kind, result.detail];
    case 'leased':
    case 'held':
    case 'not-held':
      return [result.kind, leaseToWire(result.lease)];
    case 'idempotency-mismatch':
    case 'given-up':
    case 'too-many-keys':
    case 'released':
    case 'ended':
      return [result.kind];
  }
}

function resultFromWire(body: unknown, checksum: Checksum): ChangeResult {
  const fields = asArray(body, 1, 'result');
  const kind = asString(fields[0], 'result', 32);
  const state = () => decodeState(asBytes(fields[1], 'state', MAX_MESSAGE_BYTES), checksum);
  switch (kind) {
    case 'state':
      return { kind, state: state(), lease: leaseFromWire(fields[2]) };
    case 'written':
      return { kind, state: state(), written: dotFromWire(fields[2]) };
    case 'precondition-failed':
      return { kind, etag: fields[1] === null ? undefined : asString(fields[1], 'etag', 64) };
    case 'unfitting':
      return { kind, detail: asString(fields[1], 'detail', 4096) };
    case 'leased':
    case 'held':
      return { kind, lease: someLease(fields[1]) };
    case 'not-held':
      return { kind, lease: leaseFromWire(fields[1]) };
    case 'idempotency-mismatch':
    case 'given-up':
    case 'too-many-keys':
    case 'released':
    case 'ended':
      return { kind };
    default:
      throw new MalformedMessage(`a change that ended as ${JSON.stringify(kind)}`);
  }
}

function someLease(body: unknown): Lease {
  const lease = leaseFromWire(body);
  if (lease === null) throw new MalformedMessage('a lease is missing');
  return lease;
}

function confirmationFromWire(body: unknown): Confirmation {
  const [acked, needed, of] = asArray(body, 3, 'confirmation').map((number) =>
    asInteger(number, 'confirmation', 0, 1000),
  );
  return { acked: acked!, needed: needed!, of: of! };
}

export function changeMessage(checksum: Checksum): MessageType<ForwardedChange, Proposed> {
  return {
    name: 'register.change',
    encodeRequest: ({ epoch: known, bucket, key, id, change, triedAt, answeredBelow }) => [
      [known, bucket.name, bucket.incarnation, bucket.version],
      key,
      id,
      changeToWire(change),
      triedAt,
      answeredBelow,
    ],
    decodeRequest: (body) => {
      const fields = asArray(body, 5, 'register.change');
      const bucket = asArray(fields[0], 4, 'bucket');
      const id = asBytes(fields[2], 'id', ID_BYTES);
      if (id.length !== ID_BYTES) throw new MalformedMessage(`id of ${id.length} bytes`);
      return {
        epoch: epoch(asInteger(bucket[0], 'epoch')),
        bucket: {
          name: asString(bucket[1], 'bucket', 128),
          incarnation: asInteger(bucket[2], 'incarnation'),
          version: epoch(asInteger(bucket[3], 'definition')),
        },
        key: asBytes(fields[1], 'key', 1024),
        id,
        change: changeFromWire(fields[3]),
        triedAt: asInteger(fields[4], 'triedAt'),
        answeredBelow: fields[5] === undefined ? 0 : asInteger(fields[5], 'answeredBelow'),
      };
    },
    encodeReply: (proposed) => {
      if (proposed.kind === 'failed') {
        return [proposed.kind, proposed.reason, proposed.detail.slice(0, 4096), proposed.mayBeMade];
      }
      const { acked, needed, of } = proposed.confirmation;
      return [proposed.kind, resultToWire(proposed.result, checksum), [acked, needed, of]];
    },
    decodeReply: (body) => {
      const fields = asArray(body, 3, 'register.change reply');
      if (fields[0] === 'done') {
        const result = resultFromWire(fields[1], checksum);
        return { kind: 'done', result, confirmation: confirmationFromWire(fields[2]) };
      }
      const reason = REASONS.find((known) => known === fields[1]);
      if (fields[0] !== 'failed' || reason === undefined) {
        throw new MalformedMessage(`a change that is ${JSON.stringify(fields[0])?.slice(0, 40)}`);
      }
      const detail = asString(fields[2], 'detail', 4096);
      return { kind: 'failed', reason, detail, mayBeMade: asBoolean(fields[3], 'mayBeMade') };
    },
  };
}
