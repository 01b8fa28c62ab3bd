/**
 * JSON in and out.
 */

import { toBase64 } from '#kernel/base64.ts';
import { fromUtf8, utf8 } from '#kernel/bytes.ts';
import { withBody } from './body.ts';
import type { Answer, Exchange, Headers } from './exchange.ts';
import { invalid, Problem, problemAnswer } from './problem.ts';
import { quoted } from './raw-path.ts';

/** Bytes of a JSON body that describes something; values travel otherwise. */
export const MAX_JSON_BYTES = 64 * 1024;
const JSON_MEDIA_TYPE = /^application\/json[ \t]*(;|$)/i;

export function jsonAnswer(value: unknown, status = 200, headers: Headers = {}): Answer {
  return jsonTextAnswer(JSON.stringify(value), status, headers);
}

export function jsonTextAnswer(text: string, status = 200, headers: Headers = {}): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers },
    body: `${text}\n`,
  };
}

/**
 * The object in JSON, with the value as a last member in base64. That needs no escaping, and to look whether it does takes a hundred
 * times as long as the copying. In parts, since a large value should be copied once only where it stands among others.
 */
export function jsonWithBase64(
  fields: Readonly<Record<string, unknown>>,
  member: string,
  value: Uint8Array,
): readonly Uint8Array[] {
  const text = JSON.stringify(fields);
  const head = `${text.slice(0, -1)}${text === '{}' ? '' : ','}${JSON.stringify(member)}:"`;
  return [utf8(head), Buffer.from(toBase64(value), 'latin1'), utf8('"}')];
}

/** Reads the body as JSON and hands it to `use`; whether it makes sense is the business of `use`. */
export async function withJson(
  exchange: Exchange,
  deadline: number,
  use: (value: unknown) => Promise<Answer>,
  limit = MAX_JSON_BYTES,
): Promise<Answer> {
  const wrong = mediaTypeProblem(exchange);
  if (wrong !== undefined) return problemAnswer(wrong);
  return withBody(exchange, limit, deadline, (bytes) => useParsed(bytes, use));
}

/** As {@link withJson}, for a request that may come without a body: that means `{}`. */
export async function withOptionalJson(
  exchange: Exchange,
  deadline: number,
  use: (value: unknown) => Promise<Answer>,
): Promise<Answer> {
  return withBody(exchange, MAX_JSON_BYTES, deadline, async (bytes) => {
    if (bytes.length === 0) return use({});
    const wrong = mediaTypeProblem(exchange);
    return wrong === undefined ? useParsed(bytes, use) : problemAnswer(wrong);
  });
}

/** What is sent to be understood is not decoded here; values are kept as they come. */
export function encodingProblem({ incoming }: Exchange): Problem | undefined {
  const encoding = incoming.header('content-encoding');
  if (encoding === undefined || /^(identity)?$/i.test(encoding.trim())) return undefined;
  const detail = `Content-Encoding: the body must not be encoded and is ${quoted(encoding)}`;
  return new Problem('unsupported-media-type', detail, { field: 'Content-Encoding' });
}

function mediaTypeProblem(exchange: Exchange): Problem | undefined {
  const { incoming } = exchange;
  const contentType = incoming.header('content-type');
  if (contentType !== undefined && JSON_MEDIA_TYPE.test(contentType)) return encodingProblem(exchange);
  const given = contentType === undefined ? 'not given' : quoted(contentType);
  const detail = `Content-Type: must be application/json and is ${given}`;
  return new Problem('unsupported-media-type', detail, { field: 'Content-Type' });
}

async function useParsed(bytes: Uint8Array, use: (value: unknown) => Promise<Answer>): Promise<Answer> {
  const value = parseJson(bytes);
  return value instanceof Problem ? problemAnswer(value) : use(value);
}

/** A whole number that a double does not hold exactly comes as one that is too large: nobody gets another one back than he sent. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    const text = fromUtf8(bytes);
    return (LONG_NUMBER.test(text) ? JSON.parse(text, exactly) : JSON.parse(text)) as unknown;
  } catch {
    return invalid('body', 'is not JSON in UTF-8');
  }
}

/** Fewer digits a double holds. */
const LONG_NUMBER = /\d{16}/;
const WHOLE_NUMBER = /^-?\d+$/;

function exactly(_name: string, value: unknown, ...more: readonly unknown[]): unknown {
  if (typeof value !== 'number' || !Number.isFinite(value) || Number.isSafeInteger(value)) return value;
  const { source = '' } = (more[0] ?? {}) as { readonly source?: string };
  return WHOLE_NUMBER.test(source) && BigInt(source) !== BigInt(value) ? value * Infinity : value;
}
