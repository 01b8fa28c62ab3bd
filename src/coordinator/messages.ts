/**
 * A write that came in at a node which does not own the key travels whole to an owner, and its outcome travels back.
 */

import type { Bucket } from '#buckets/definition.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import type { State, Version } from '#causality/state.ts';
import type { Checksum } from '#kernel/native.ts';
import { EMPTY_BYTES } from '#kernel/bytes.ts';
import { epoch, nodeId, type Epoch } from '#kernel/identity.ts';
import { MalformedMessage, type MessageType } from '#wire/message.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';
import { asArray, asBoolean, asBytes, asInteger, asString } from '#wire/shape.ts';
import { operationFromWire, operationToWire } from './operation-codec.ts';
import {
  conditionsFromWire,
  conditionsToWire,
  contentFromWire,
  contentToWire,
  dotFromWire,
  dotToWire,
  isGiven,
  markFromWire,
  markToWire,
  vectorFromWire,
  vectorToWire,
} from './request-codec.ts';
import type { Agreement, Trouble, WriteOutcome, WriteRequest } from './requests.ts';

/** A {@link WriteRequest} without what each node knows for itself: the deadline, the trace and the bucket's properties. */
export interface ForwardedWrite extends Omit<WriteRequest, 'deadline' | 'bucket' | 'trace'> {
  readonly epoch: Epoch;
  readonly bucket: Pick<Bucket, 'name' | 'incarnation' | 'version'>;
}

const TROUBLES: readonly Trouble[] = [
  'quorum-unavailable',
  'quorum-timeout',
  'not-ready',
  'overloaded',
  'disk-full',
  'too-many-siblings',
  'value-too-large',
  'idempotency-mismatch',
  'conflict',
  'session-not-met',
];

function agreementToWire({ acked, needed, of, fallbacks }: Agreement): unknown {
  return [acked, needed, of, fallbacks];
}

function agreementFromWire(body: unknown): Agreement {
  const [acked, needed, of, fallbacks] = asArray(body, 4, 'agreement').map((number) =>
    asInteger(number, 'agreement', 0, 1000),
  );
  return { acked: acked!, needed: needed!, of: of!, fallbacks: fallbacks! };
}

function outcomeToWire(outcome: WriteOutcome, checksum: Checksum): unknown {
  if (outcome.kind === 'applied') {
    const state: State = { vector: outcome.context, versions: outcome.versions };
    const written = dotToWire(outcome.written);
    return [
      outcome.kind,
      agreementToWire(outcome.agreement),
      outcome.coordinator,
      encodeState(state, checksum),
      written,
    ];
  }
  if (outcome.kind === 'precondition-failed')
    return [outcome.kind, agreementToWire(outcome.agreement), outcome.coordinator, outcome.etag ?? null];
  const context = outcome.context === undefined ? null : vectorToWire(outcome.context);
  const written = outcome.written === undefined ? null : dotToWire(outcome.written);
  return [outcome.kind, agreementToWire(outcome.agreement), outcome.trouble, outcome.detail, context, written];
}

function outcomeFromWire(body: unknown, checksum: Checksum): WriteOutcome {
  const fields = asArray(body, 4, 'outcome');
  const kind = asString(fields[0], 'outcome', 32);
  const agreement = agreementFromWire(fields[1]);
  if (kind === 'applied') {
    const state = decodeState(asBytes(fields[3], 'state', MAX_MESSAGE_BYTES), checksum);
    const coordinator = nodeId(asString(fields[2], 'coordinator', 64));
    return {
      kind,
      agreement,
      coordinator,
      versions: state.versions,
      context: state.vector,
      written: dotFromWire(fields[4]),
    };
  }
  if (kind === 'precondition-failed') {
    const coordinator = nodeId(asString(fields[2], 'coordinator', 64));
    const etag = fields[3] === null ? undefined : asString(fields[3], 'etag', 64);
    return { kind, agreement, coordinator, etag };
  }
  const trouble = TROUBLES.find((known) => known === fields[2]);
  if ((kind !== 'not-applied' && kind !== 'unknown') || trouble === undefined)
    throw new MalformedMessage(`outcome ${kind} with trouble ${String(fields[2])}`);
  const detail = asString(fields[3], 'detail', 4096);
  return {
    kind,
    trouble,
    detail,
    agreement,
    ...(isGiven(fields[4]) ? { context: vectorFromWire(fields[4]) } : {}),
    ...(isGiven(fields[5]) ? { written: dotFromWire(fields[5]) } : {}),
  };
}

/** Keeps the dots and headers of versions and drops their values, for answers that do not show them. */
export function withoutValues(versions: readonly Version[]): readonly Version[] {
  return versions.map((version) =>
    version.content === null ? version : { ...version, content: { ...version.content, value: EMPTY_BYTES } },
  );
}

/**
 * Operations on data types have a name of their own: a node of an earlier release would not see the operation, and take a
 * write without content for a deletion.
 */
export function operateMessage(checksum: Checksum): MessageType<ForwardedWrite, WriteOutcome> {
  return {
    ...writeMessage(checksum),
    name: 'coordinator.operate',
  };
}

export function writeMessage(checksum: Checksum): MessageType<ForwardedWrite, WriteOutcome> {
  return {
    name: 'coordinator.write',
    encodeRequest: (request) => [
      [request.epoch, request.bucket.name, request.bucket.incarnation, request.bucket.version],
      request.requestId,
      request.key,
      contentToWire(request.content),
      request.context === null ? null : vectorToWire(request.context),
      [request.r, request.pr, request.w, request.pw, request.dw],
      request.ttl,
      request.sloppy,
      request.returnBody,
      conditionsToWire(request.conditions),
      markToWire(request.mark),
      request.zone ?? null,
      request.least === undefined ? null : vectorToWire(request.least),
      request.operation === undefined ? null : operationToWire(request.operation),
      ...(request.replicas === undefined ? [] : [request.replicas]),
    ],
    decodeRequest: (body) => {
      const fields = asArray(body, 11, 'coordinator.write');
      const bucket = asArray(fields[0], 4, 'bucket');
      const [r, pr, w, pw, dw] = asArray(fields[5], 5, 'quorum').map((number) => asInteger(number, 'quorum', 0, 7));
      return {
        epoch: epoch(asInteger(bucket[0], 'epoch', 0)),
        bucket: {
          name: asString(bucket[1], 'bucket', 128),
          incarnation: asInteger(bucket[2], 'incarnation', 0),
          version: epoch(asInteger(bucket[3], 'definition', 0)),
        },
        requestId: asString(fields[1], 'requestId', 128),
        key: asBytes(fields[2], 'key', 1024),
        content: contentFromWire(fields[3]),
        context: fields[4] === null ? null : vectorFromWire(fields[4]),
        r: r!,
        pr: pr!,
        w: w!,
        pw: pw!,
        dw: dw!,
        ttl: asInteger(fields[6], 'ttl', 0),
        sloppy: asBoolean(fields[7], 'sloppy'),
        returnBody: asBoolean(fields[8], 'returnBody'),
        conditions: conditionsFromWire(fields[9]),
        mark: markFromWire(fields[10]),
        ...(isGiven(fields[14]) ? { replicas: asInteger(fields[14], 'replicas', 1, 7) } : {}),
        ...(isGiven(fields[11]) ? { zone: asString(fields[11], 'zone', 64) } : {}),
        ...(isGiven(fields[12]) ? { least: vectorFromWire(fields[12]) } : {}),
        ...(isGiven(fields[13]) ? { operation: operationFromWire(fields[13]) } : {}),
      };
    },
    encodeReply: (outcome) => outcomeToWire(outcome, checksum),
    decodeReply: (body) => outcomeFromWire(body, checksum),
  };
}
