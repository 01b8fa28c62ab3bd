/**
 * A write that came in at a node which does not own the key travels whole to an owner, and its outcome travels back.
 */

import type { Bucket } from '#buckets/definition.ts';
import type { Dot } from '#causality/dot.ts';
import type { RequestMark } from '#causality/repeats.ts';
import { decodeState, encodeState } from '#causality/state-codec.ts';
import type { Content, State, Version, VersionVector } from '#causality/state.ts';
import type { Checksum } from '#kernel/native.ts';
import { EMPTY_BYTES } from '#kernel/bytes.ts';
import { epoch, nodeId, nodeIndex, type Epoch } from '#kernel/identity.ts';
import { asMarkBytes } from '#replica/retry-codec.ts';
import { MalformedMessage, type MessageType } from '#wire/message.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';
import { asArray, asBoolean, asBytes, asInteger, asListOf, asString } from '#wire/shape.ts';
import type { Conditions, Tag, Tags } from './preconditions.ts';
import type { Agreement, Trouble, WriteOutcome, WriteRequest } from './requests.ts';

const VECTOR_MAX = 4096;
/** More than a request's head has room for. */
const TAGS_MAX = 32_768;

/** A {@link WriteRequest} without what each node knows for itself: the deadline, the trace and the bucket's properties. */
export interface ForwardedWrite extends Omit<WriteRequest, 'deadline' | 'bucket' | 'trace'> {
  readonly epoch: Epoch;
  readonly bucket: Pick<Bucket, 'name' | 'incarnation' | 'version'>;
}

function contentToWire(content: Content | null): unknown {
  if (content === null) return null;
  return [content.value, content.contentType, content.contentEncoding, content.meta.flat()];
}

function contentFromWire(body: unknown): Content | null {
  if (body === null) return null;
  const fields = asArray(body, 4, 'content');
  const flat = asArray(fields[3], 0, 'meta').map((text) => asString(text, 'meta', 16_384));
  const meta: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) meta.push([flat[i]!, flat[i + 1]!]);
  return {
    value: asBytes(fields[0], 'value', MAX_MESSAGE_BYTES),
    contentType: asString(fields[1], 'contentType', 16_384),
    contentEncoding: asString(fields[2], 'contentEncoding', 16_384),
    meta,
  };
}

function vectorToWire(vector: VersionVector): unknown {
  return vector.flatMap(({ node, tenure, counter }) => [node, tenure, counter]);
}

function dotToWire({ node, tenure, counter }: Dot): unknown {
  return [node, tenure, counter];
}

function dotFromWire(body: unknown): Dot {
  const [node, tenure, counter] = asArray(body, 3, 'dot').map((number) => asInteger(number, 'dot', 0));
  return { node: nodeIndex(node!), tenure: tenure!, counter: counter! };
}

function vectorFromWire(body: unknown): VersionVector {
  const numbers = asArray(body, 0, 'vector').map((number) => asInteger(number, 'vector', 0));
  if (numbers.length % 3 !== 0 || numbers.length > VECTOR_MAX * 3)
    throw new MalformedMessage(`vector of ${numbers.length} numbers`);
  const vector = [];
  for (let i = 0; i < numbers.length; i += 3) {
    vector.push({ node: nodeIndex(numbers[i]!), tenure: numbers[i + 1]!, counter: numbers[i + 2]! });
  }
  return vector;
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

function isGiven(element: unknown): boolean {
  return element !== undefined && element !== null;
}

function tagsToWire(tags: Tags | undefined): unknown {
  if (tags === undefined || tags === '*') return tags ?? null;
  return tags.map(({ weak, opaque }) => [weak, opaque]);
}

function tagsFromWire(body: unknown): Tags | undefined {
  if (!isGiven(body)) return undefined;
  if (body === '*') return body;
  return asListOf(body, 'tags', TAGS_MAX, (element): Tag => {
    const [weak, opaque] = asArray(element, 2, 'tag');
    return { weak: asBoolean(weak, 'weak'), opaque: asString(opaque, 'tag', 32_768) };
  });
}

function conditionsFromWire(body: unknown): Conditions | null {
  if (!isGiven(body)) return null;
  const fields = asArray(body, 2, 'conditions');
  return { ifMatch: tagsFromWire(fields[0]), ifNoneMatch: tagsFromWire(fields[1]) };
}

function markFromWire(body: unknown): RequestMark | null {
  if (!isGiven(body)) return null;
  const fields = asArray(body, 2, 'mark');
  return { id: asMarkBytes(fields[0], 'id'), fingerprint: asMarkBytes(fields[1], 'fingerprint') };
}

/** Keeps the dots and headers of versions and drops their values, for answers that do not show them. */
export function withoutValues(versions: readonly Version[]): readonly Version[] {
  return versions.map((version) =>
    version.content === null ? version : { ...version, content: { ...version.content, value: EMPTY_BYTES } },
  );
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
      request.expiresAt,
      request.sloppy,
      request.returnBody,
      request.conditions === null
        ? null
        : [tagsToWire(request.conditions.ifMatch), tagsToWire(request.conditions.ifNoneMatch)],
      request.mark === null ? null : [request.mark.id, request.mark.fingerprint],
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
        expiresAt: asInteger(fields[6], 'expiresAt', 0),
        sloppy: asBoolean(fields[7], 'sloppy'),
        returnBody: asBoolean(fields[8], 'returnBody'),
        conditions: conditionsFromWire(fields[9]),
        mark: markFromWire(fields[10]),
      };
    },
    encodeReply: (outcome) => outcomeToWire(outcome, checksum),
    decodeReply: (body) => outcomeFromWire(body, checksum),
  };
}
