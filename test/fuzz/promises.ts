/**
 * What holds for every answer to whatever was sent, and what a target may reach: written without any of the program, so
 * that a mistake of its parser is not repeated here.
 */

import type { RawAnswer } from '../raw-http.ts';

export function broken(promise: string, shown: unknown): never {
  throw new Error(`${promise}: ${typeof shown === 'string' ? shown : JSON.stringify(shown)}`);
}

interface AnswerLike {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Never a 500; and every error explains itself in the promised shape. */
export function checkAnswer({ status, headers, body }: AnswerLike, method = ''): void {
  const text = Buffer.from(body).toString();
  if (status === 500) broken('no 500', text);
  if (status < 400 || method === 'HEAD' || body.length === 0) return;
  // Health says what is wrong in its own shape.
  if (status === 503 && headers['content-type'] === 'application/json') return;
  if (headers['content-type'] !== 'application/problem+json')
    broken('errors are problem documents', { status, headers });
  const problem = JSON.parse(text) as Record<string, unknown>;
  for (const member of ['type', 'title', 'detail']) {
    if (typeof problem[member] !== 'string' || problem[member] === '') broken(`a problem has a ${member}`, text);
  }
  if (problem['status'] !== status) broken('a problem repeats its status', text);
}

/** Whether a write behind this answer may have been applied. */
export function admitsWrite({ status, body }: AnswerLike): boolean {
  if (status < 400) return true;
  return Buffer.from(body).toString().includes('"outcome":"unknown"');
}

export interface Reach {
  readonly bucket: string;
  /** In hexadecimal. */
  readonly key: string;
}

/** The one key that this target names, if it names one. */
export function reachOf(target: string): Reach | undefined {
  const match = /^(?:https?:\/\/[^/?#]*)?\/v1\/(kv|kv64)\/([^/?#\\]+)\/([^/?#\\]+)(?:\?.*)?$/i.exec(target);
  if (match === null) return undefined;
  const [, family, bucket = '', key = ''] = match;
  // Only the scheme may be written in capitals.
  if (family !== family?.toLowerCase() || !/(^|\/)v1\/kv/.test(target)) return undefined;
  const name = bytesOf(bucket)?.toString('latin1');
  const bytes = family === 'kv' ? bytesOf(key) : Buffer.from(key, 'base64url');
  if (name === undefined || bytes === undefined) return undefined;
  return { bucket: name, key: bytes.toString('hex') };
}

function bytesOf(escaped: string): Buffer | undefined {
  if (/%(?![0-9a-f]{2})/i.test(escaped)) return undefined;
  return Buffer.from(
    escaped.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
}

/** Paths that answer a GET with something else than a key. */
const OTHERS =
  /^(?:https?:\/\/[^/?#]*)?(\/livez|\/readyz|\/healthz|\/metrics|\/openapi\.json|\/docs|\/ui\/|\/v1\/(cluster|ring|buckets|tokens)|\/v1\/buckets\/[^/]+|\/v1\/kv\/[^/]+|\/v1\/ring\/(transfers|locate\/[^/]+\/[^/]+)|\/v1\/(watch|explain)\/[^/].*)(\?.*)?$/i;

/** Whether a request for this target may be answered with success. */
export function leadsSomewhere(target: string): boolean {
  return OTHERS.test(target) || reachOf(target) !== undefined;
}

/** Reads what came back, and checks each answer by itself. */
export function checkAll(answers: readonly RawAnswer[]): void {
  for (const answer of answers) checkAnswer(answer);
}
