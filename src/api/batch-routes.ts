/**
 * `POST /v1/batch`: many operations in one request, each with its own status. Those on one key are done in their order, all others
 * together, and there is no atomicity. Those that begin together share their messages and commits.
 */

import { C1, Packr, Unpackr } from 'msgpackr';
import { utf8 } from '#kernel/bytes.ts';
import { mismatch, type Schema } from '#kernel/json-schema.ts';
import { BATCH_OPERATION, bytesOf, exchangeOf, jsonResult, packableResult, type BatchOperation } from './batch-item.ts';
import { withBody } from './body.ts';
import { parseConditions } from './conditions.ts';
import type { Answer, Exchange } from './exchange.ts';
import { encodingProblem, jsonTextAnswer, parseJson } from './json.ts';
import { deleteValue, getValue, putValue } from './key-value.ts';
import { parseTimeout } from './key-request.ts';
import { notApplied } from './not-applied.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';
import { parseQuery } from './query.ts';
import { quoted } from './raw-path.ts';
import { missingRight } from './rights.ts';
import { parseAsked, QUORUM_PARAMETERS } from './request-quorum.ts';
import { refuseSession } from './request-session.ts';
import { NO_TURN } from './turn-to-show.ts';

export const BATCH_PARAMETERS = [...QUORUM_PARAMETERS, 'timeout'] as const;

/** Operations of one batch; a node may allow fewer. */
export const BATCH_MAX = 1000;

export const BATCH_SCHEMA: Schema = {
  type: 'object',
  properties: { operations: { type: 'array', minItems: 1, maxItems: BATCH_MAX, items: BATCH_OPERATION } },
  required: ['operations'],
  additionalProperties: false,
};

/** Judged one by one, so that a mistake is named by its place. */
const BATCH_SHELL: Schema = {
  ...BATCH_SCHEMA,
  properties: { operations: { type: 'array', minItems: 1, maxItems: BATCH_MAX } },
};

/** Headers that a client may take for meant for all: of the keys' own all but the session, which has words of its own. */
const OF_ONE_OPERATION = /^(idempotency-key|if-match|if-none-match|quoral-.*)$/;

const JSON_TYPE = /^application\/json[ \t]*(;|$)/i;
const MSGPACK_TYPE = /^application\/(x-|vnd\.)?msgpack[ \t]*(;|$)/i;
const MSGPACK = 'application/msgpack';

/** Operations that are under way at once: what one commit takes. */
const WAVE_MAX = 128;
/** Reads among them, until it is known how large what they read is. */
const READS_FIRST = 32;
const READS_MIN = 4;
/** Of what the reads of one wave may bring into memory, about. */
const READ_BYTES = 8 * 1024 * 1024;

const packr = new Packr({ useRecords: false, bundleStrings: false, structuredClone: false, moreTypes: false });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });

export async function performBatch(exchange: Exchange): Promise<Answer> {
  const { incoming, services, startedAt, target } = exchange;
  const query = parseQuery(target.query, BATCH_PARAMETERS);
  if (query instanceof Problem) return problemAnswer(query);
  const timeout = parseTimeout(query, services.settings.requestTimeoutMs);
  if (timeout instanceof Problem) return problemAnswer(timeout);
  const asked = parseAsked(query);
  if (asked instanceof Problem) return problemAnswer(asked);
  const conditions = parseConditions(incoming);
  if (conditions instanceof Problem) return problemAnswer(conditions);
  const apart = refuseSession(incoming, 'a batch');
  if (apart !== undefined) return problemAnswer(apart);
  for (const name of incoming.headerNames()) {
    if (OF_ONE_OPERATION.test(name)) return problemAnswer(invalid(name, 'belongs to one operation: give it there'));
  }
  const type = incoming.header('content-type');
  const binary = type !== undefined && MSGPACK_TYPE.test(type);
  if (!binary && (type === undefined || !JSON_TYPE.test(type))) {
    const given = type === undefined ? 'not given' : quoted(type);
    const detail = `Content-Type: must be application/json or ${MSGPACK} and is ${given}`;
    return problemAnswer(new Problem('unsupported-media-type', detail, { field: 'Content-Type' }));
  }
  const encoded = encodingProblem(exchange);
  if (encoded !== undefined) return problemAnswer(encoded);
  const deadline = startedAt + timeout;
  return withBody(exchange, services.settings.batchBytesMax, deadline, async (bytes) => {
    const turn = services.answerTurns.take(bytes.length, deadline);
    if (turn !== true && !(await turn))
      return problemAnswer(new Problem('overloaded', NO_TURN_TO_READ, notApplied(incoming)));
    const operations = parseOperations(bytes, binary, services.settings.batchMax);
    if (operations instanceof Problem) return problemAnswer(operations);
    const batch = new Batch(exchange, binary, deadline);
    const results = await batch.run(operations);
    // There may be writes among them, which must be told of.
    await services.answerTurns.take(batch.bytes, Number.POSITIVE_INFINITY);
    return binary ? packed({ results }) : jsonBytesAnswer(results as readonly (readonly Uint8Array[])[]);
  });
}

/** Of results in JSON. */
function jsonBytesAnswer(results: readonly (readonly Uint8Array[])[]): Answer {
  const parts: Uint8Array[] = [];
  for (const result of results) parts.push(utf8(parts.length === 0 ? '{"results":[' : ','), ...result);
  parts.push(utf8(']}\n'));
  return { ...jsonTextAnswer(''), body: Buffer.concat(parts) };
}

function packed(value: unknown): Answer {
  const bytes: Uint8Array = packr.pack(value);
  return { status: 200, headers: { 'content-type': MSGPACK, 'cache-control': 'no-store' }, body: bytes };
}

function parseOperations(bytes: Uint8Array, binary: boolean, most: number): readonly BatchOperation[] | Problem {
  const body = binary ? parsePacked(bytes) : parseJson(bytes);
  if (body instanceof Problem) return body;
  const wrong = body === C1 ? NEVER_USED : mismatch(BATCH_SHELL, body);
  if (wrong !== undefined) return invalid(wrong.member === '' ? 'body' : wrong.member, wrong.detail);
  const { operations } = body as { readonly operations: readonly unknown[] };
  if (operations.length > most)
    return invalid('operations', `${operations.length} are given; at most ${most} are allowed`);
  for (const [place, operation] of operations.entries()) {
    const mistake =
      operation === C1 ? NEVER_USED : mismatch(BATCH_OPERATION, binary ? withoutBytes(operation) : operation);
    if (mistake === undefined) continue;
    const member = mistake.member === '' ? '' : `.${mistake.member}`;
    return invalid(`operations[${place}]${member}`, mistake.detail);
  }
  return operations as readonly BatchOperation[];
}

/** Of the one byte that begins nothing in MessagePack; the decoder makes an object of it. */
const NEVER_USED = { member: '', detail: 'the byte 0xc1 is no MessagePack' };

function parsePacked(bytes: Uint8Array): unknown {
  try {
    return unpackr.unpack(bytes) as unknown;
  } catch {
    return invalid('body', 'is not MessagePack');
  }
}

/** A value in bytes is as good as one in text. */
function withoutBytes(operation: unknown): unknown {
  if (typeof operation !== 'object' || operation === null || !('value' in operation)) return operation;
  return operation.value instanceof Uint8Array ? { ...operation, value: '' } : operation;
}

const NO_TURN_TO_READ = 'too many batches with large values wait to be read';
const TOO_MUCH = 'the values of this batch would be too much for one answer; read this key by itself';

class Batch {
  readonly #exchange: Exchange;
  readonly #binary: boolean;
  readonly #deadline: number;
  #readsNext = READS_FIRST;
  /** Of the values in the results so far. */
  bytes = 0;

  constructor(exchange: Exchange, binary: boolean, deadline: number) {
    const { services } = exchange;
    this.#exchange = { ...exchange, services: { ...services, ...services.batch() } };
    this.#binary = binary;
    this.#deadline = deadline;
  }

  /** Wave by wave, so that what is in memory at once stays within bounds. */
  async run(operations: readonly BatchOperation[]): Promise<readonly unknown[]> {
    const results: unknown[] = [];
    while (results.length < operations.length) {
      const wave = this.#waveFrom(operations, results.length);
      const answers = await this.#together(wave, results.length);
      this.#learn(wave, answers);
      for (const answer of answers) {
        const turn = this.#turnFor(bytesOf(answer));
        results.push(turn === true || (await turn) ? this.#result(answer) : this.#shown(problemAnswer(NO_TURN)));
      }
    }
    return results;
  }

  /** All at once, but for those on one key with a write among them: they go one after the other, as they were given. */
  async #together(wave: readonly BatchOperation[], start: number): Promise<readonly Answer[]> {
    const written = new Set(wave.filter(({ op }) => op !== 'get').map(keyName));
    const before = new Map<string, Promise<Answer>>();
    return Promise.all(
      wave.map(async (one, i) => {
        const name = keyName(one);
        const earlier = before.get(name);
        const perform = async (): Promise<Answer> => this.#perform(one, start + i);
        const answer = earlier === undefined ? perform() : earlier.then(perform);
        if (written.has(name)) before.set(name, answer);
        return answer;
      }),
    );
  }

  #waveFrom(operations: readonly BatchOperation[], start: number): readonly BatchOperation[] {
    let reads = 0;
    let end = start;
    for (; end < operations.length && end - start < WAVE_MAX; end++) {
      if (operations[end]!.op === 'get' && ++reads > this.#readsNext) break;
    }
    return operations.slice(start, end);
  }

  #learn(wave: readonly BatchOperation[], answers: readonly Answer[]): void {
    let reads = 0;
    let bytes = 0;
    for (const [i, { op }] of wave.entries()) {
      if (op !== 'get') continue;
      reads += 1;
      bytes += bytesOf(answers[i]!);
    }
    if (reads === 0) return;
    const fitting = Math.floor((READ_BYTES * reads) / Math.max(1, bytes));
    this.#readsNext = Math.max(READS_MIN, Math.min(WAVE_MAX, fitting));
  }

  async #perform(operation: BatchOperation, place: number): Promise<Answer> {
    const { op, bucket } = operation;
    const { access, target, services, requestId } = this.#exchange;
    const missing = missingRight(access, op === 'get' ? 'read' : 'write', bucket);
    if (missing !== undefined) return problemAnswer(missing);
    const turn = this.#turnFor(givenBytes(operation));
    if (turn !== true && !(await turn)) return problemAnswer(notBegun(operation));
    const exchange = exchangeOf(this.#exchange, operation, place, target.query);
    if (exchange instanceof Problem) return problemAnswer(exchange);
    try {
      return await HANDLERS[op](exchange);
    } catch (error) {
      // A bug: it must not take the results of the other operations with it.
      services.log.error('batch-operation-crashed', { requestId, place, reason: String(error) });
      const extras = op === 'get' ? {} : { outcome: 'unknown' as const };
      return problemAnswer(new Problem('internal-error', `see the log of this node for request ${requestId}`, extras));
    }
  }

  #turnFor(bytes: number): boolean | Promise<boolean> {
    return this.#exchange.services.answerTurns.take(bytes, this.#deadline);
  }

  #result(answer: Answer): unknown {
    const bytes = bytesOf(answer);
    const { batchBytesMax } = this.#exchange.services.settings;
    if (answer.status < 400 && this.bytes + bytes > batchBytesMax && bytes > 0)
      return this.#shown(problemAnswer(new Problem('value-too-large', TOO_MUCH)));
    this.bytes += bytes;
    return this.#shown(answer);
  }

  #shown(answer: Answer): unknown {
    return this.#binary ? packableResult(answer) : jsonResult(answer);
  }
}

function givenBytes({ value = '', value64 = '' }: BatchOperation): number {
  return value.length + value64.length;
}

/** Of an operation with a value that has not begun. */
function notBegun({ idempotencyKey }: BatchOperation): Problem {
  const outcome = idempotencyKey === undefined ? 'not-applied' : 'unknown';
  return new Problem('overloaded', NO_TURN_TO_READ, { outcome });
}

/** The same for a key in either form. */
function keyName({ bucket, key, key64 = '' }: BatchOperation): string {
  return `${bucket}/${key ?? Buffer.from(key64, 'base64url').toString()}`;
}

const HANDLERS = { get: getValue, put: putValue, delete: deleteValue } as const;
