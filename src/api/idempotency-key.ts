/**
 * `Idempotency-Key`: what makes two requests to write one request sent twice. The key names it, and everything that the
 * request says must be the same; how many replicas it wants to hear from, and how long it waits, may differ.
 */

import { MARK_BYTES, type Numbered, type RequestMark } from '#causality/repeats.ts';
import type { Content } from '#causality/state.ts';
import { ByteWriter } from '#kernel/binary.ts';
import { EMPTY_BYTES, utf8 } from '#kernel/bytes.ts';
import type { Incoming } from './exchange.ts';
import { invalid, type Problem } from './problem.ts';
import type { Query } from './query.ts';
import { quoted } from './raw-path.ts';

export const MAX_IDEMPOTENCY_KEY = 255;
const PRINTABLE_ASCII = /^[\x20-\x7e]+$/;
/** Headers that say what the write is to do, beside those of the content. */
const TELLING_HEADERS = ['quoral-context', 'if-match', 'if-none-match'] as const;

/** Undefined when the request has none. */
export function parseIdempotencyKey(incoming: Incoming): string | undefined | Problem {
  const key = incoming.header('idempotency-key');
  if (key === undefined) return undefined;
  if (incoming.fields('idempotency-key').length > 1) return invalid('Idempotency-Key', 'given more than once');
  if (key.length > MAX_IDEMPOTENCY_KEY || !PRINTABLE_ASCII.test(key)) {
    const allowed = `1 to ${MAX_IDEMPOTENCY_KEY} characters of printable ASCII`;
    return invalid('Idempotency-Key', `${quoted(key)} is not ${allowed}`);
  }
  return key;
}

/** What the client says of its numbered requests to the key. */
export interface AnsweredBelow {
  readonly series: string;
  readonly number: number;
  readonly below: number;
}

const WHOLE_NUMBER = /^[1-9]\d{0,15}$/;
const NUMBERED = /^(.+):([1-9]\d{0,15})$/;

/**
 * `Quoral-Answered-Below`: of the requests that bear keys of the same series the client sends none with a lower number again, and
 * waits for none. Undefined when the request has none.
 */
export function parseAnsweredBelow(incoming: Incoming, key: string | undefined): AnsweredBelow | undefined | Problem {
  const given = incoming.header('quoral-answered-below');
  if (given === undefined) return undefined;
  if (incoming.fields('quoral-answered-below').length > 1)
    return invalid('Quoral-Answered-Below', 'given more than once');
  const below = Number(given);
  if (!WHOLE_NUMBER.test(given) || !Number.isSafeInteger(below))
    return invalid('Quoral-Answered-Below', `${quoted(given)} is not a whole number from 1 to 2^53-1`);
  if (key === undefined) return invalid('Quoral-Answered-Below', 'given without the Idempotency-Key that it goes with');
  const [, series = '', digits = ''] = NUMBERED.exec(key) ?? [];
  const number = Number(digits);
  if (number >= below && Number.isSafeInteger(number)) return { series, number, below };
  const wanted = `SERIES:NUMBER with a number of at least ${below}, as Quoral-Answered-Below says`;
  return invalid('Idempotency-Key', `${quoted(key)} is not ${wanted}`);
}

export interface MarkedRequest {
  readonly incoming: Incoming;
  readonly query: Query;
  /** Null to delete. */
  readonly content: Content | null;
}

/** What the request is known by; equal for equal requests. The value is hashed by itself, so that it is not copied. */
export function markOf(
  idempotencyKey: string,
  { incoming, query, content }: MarkedRequest,
  sha256: (bytes: Uint8Array) => Uint8Array,
): RequestMark {
  const name = utf8(idempotencyKey);
  const writer = new ByteWriter(512);
  writer.bytes(name);
  for (const header of TELLING_HEADERS) text(writer, incoming.header(header));
  text(writer, query.get('ttl'));
  writer.u8(content === null ? 0 : 1);
  if (content !== null) {
    const { contentType, contentEncoding, meta } = content;
    for (const one of [contentType, contentEncoding, ...meta.flat()]) text(writer, one);
  }
  writer.raw(sha256(content?.value ?? EMPTY_BYTES));
  return {
    id: sha256(name).subarray(0, MARK_BYTES),
    fingerprint: sha256(writer.finish()).subarray(0, MARK_BYTES),
  };
}

/** As the register of a strong key knows it. */
export function numberedBy(
  { series, number, below }: AnsweredBelow,
  sha256: (bytes: Uint8Array) => Uint8Array,
): Numbered {
  return { series: sha256(utf8(series)).subarray(0, MARK_BYTES), number, answeredBelow: below };
}

/** Absent is another thing than empty. */
function text(writer: ByteWriter, value: string | undefined): void {
  writer.u8(value === undefined ? 0 : 1);
  writer.text(value ?? '');
}
