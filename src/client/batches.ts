/**
 * Batch coalescing: operations on keys that are asked for at about the same time travel together, one request for each owner.
 *
 * A batch leaves at the end of the turn in which its first operation came, unless batches to that owner are under way: then what
 * comes meanwhile makes up the next one. So batches grow with the load, and a lone operation waits for nothing and goes by itself.
 * Each operation has an outcome of its own; one that failed is tried again by itself.
 */

import { toBase64 } from '#kernel/base64.ts';
import { fromUtf8, utf8 } from '#kernel/bytes.ts';
import { fromBase64 } from './base64.ts';
import { problemError, QuoralError } from './errors.ts';
import { jsonBody } from './json-body.ts';
import type { Call, Reply, Transport } from './transport.ts';

/** Operations of one batch, and bytes of their values. */
const OPERATIONS_MAX = 128;
const BYTES_MAX = 1024 * 1024;
/** A larger value goes by itself. */
const VALUE_MAX = 128 * 1024;
/** Batches to one owner under way at once. */
const UNDER_WAY_MAX = 2;
/** Promises that stand between two operations which were asked for together. */
const STEPS = 16;

/** A request for a key, before it has an address. */
export type KeyCall = Omit<Call, 'path' | 'owners'>;

interface Item {
  readonly bucket: string;
  readonly key: string;
  readonly call: KeyCall;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
}

/** What goes to one owner with the same wishes. */
interface Lane {
  readonly owners: readonly string[];
  readonly query: Record<string, string | number | boolean | undefined>;
  waiting: Item[];
  underWay: number;
}

export class Batches {
  readonly #transport: Transport;
  /** Sends one operation by itself. */
  readonly #alone: (bucket: string, key: string, call: KeyCall) => Promise<Reply>;
  readonly #lanes = new Map<string, Lane>();

  constructor(transport: Transport, alone: (bucket: string, key: string, call: KeyCall) => Promise<Reply>) {
    this.#transport = transport;
    this.#alone = alone;
  }

  async ask(bucket: string, key: string, call: KeyCall, owners: readonly string[]): Promise<Reply> {
    if (!fits(call)) return this.#alone(bucket, key, call);
    const { ttl: _, ...query } = call.query ?? {};
    const name = JSON.stringify([owners[0], query]);
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = { owners, query, waiting: [], underWay: 0 };
      this.#lanes.set(name, lane);
    }
    const { waiting } = lane;
    return new Promise((resolve, reject) => {
      waiting.push({ bucket, key, call, resolve, reject });
      if (waiting.length === 1) void this.#leave(name, lane);
    });
  }

  /** Sends what waits in the lane, batch after batch, until nothing does. */
  async #leave(name: string, lane: Lane): Promise<void> {
    // The turn goes on: whatever it asks for comes along, though it takes a few steps to get here.
    for (let step = 0; step < STEPS; step++) await Promise.resolve();
    while (lane.waiting.length > 0 && lane.underWay < UNDER_WAY_MAX) {
      const items = take(lane);
      lane.underWay += 1;
      void this.#send(lane, items).finally(() => {
        lane.underWay -= 1;
        if (lane.waiting.length > 0) void this.#leave(name, lane);
        else if (lane.underWay === 0) this.#lanes.delete(name);
      });
    }
  }

  async #send(lane: Lane, items: readonly Item[]): Promise<void> {
    const [only] = items;
    if (items.length === 1 && only !== undefined) {
      await this.#sendAlone(only);
      return;
    }
    try {
      const reply = await this.#transport.send({
        method: 'POST',
        path: '/v1/batch',
        query: lane.query,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ operations: items.map(operationOf) }),
        owners: lane.owners,
        expected: [200],
        changes: items.some(({ call }) => call.changes),
        repeatable: items.every(({ call }) => call.repeatable),
      });
      const { results } = jsonBody<{ readonly results: readonly Result[] }>(reply.body);
      if (results.length !== items.length)
        throw new QuoralError('bad-answer', 'a batch has other results than operations');
      await Promise.all(items.map(async (item, i) => this.#settle(item, results[i]!, reply.node)));
    } catch (error) {
      // Refused as a whole, for something in one of them or for what they are together: each finds out by itself.
      if (refusedUnread(error)) await Promise.all(items.map(async (item) => this.#sendAlone(item)));
      else for (const { call, reject } of items) reject(call.changes ? error : withoutOutcome(error));
    }
  }

  async #sendAlone({ bucket, key, call, resolve, reject }: Item): Promise<void> {
    await this.#alone(bucket, key, call).then(resolve, reject);
  }

  async #settle({ bucket, key, call, resolve, reject }: Item, result: Result, node: string | undefined): Promise<void> {
    const reply = replyOf(result, node);
    if (call.expected.includes(reply.status)) {
      resolve(reply);
      return;
    }
    const error = problemError(reply.status, fromUtf8(reply.body), reply.headers, call.changes);
    const again = call.repeatable || error.outcome === 'not-applied';
    if (!again || FINAL.has(reply.status)) {
      reject(error);
      return;
    }
    await this.#alone(bucket, key, call).then(resolve, (last: unknown) => {
      const uncertain = error.outcome === 'unknown' && last instanceof QuoralError;
      reject(uncertain ? last.with({ outcome: 'unknown' }) : last);
    });
  }
}

/** What is no different the next time. 413 of a read is the batch's own. */
const FINAL: ReadonlySet<number> = new Set([400, 401, 403, 404, 409, 410, 412, 415, 422, 431, 501]);

function refusedUnread(error: unknown): boolean {
  if (!(error instanceof QuoralError) || error.outcome === 'unknown') return false;
  return error.code === 'invalid-request' || error.code === 'value-too-large';
}

function withoutOutcome(error: unknown): unknown {
  if (!(error instanceof QuoralError)) return error;
  const { outcome: _, ...facts } = error.facts;
  return new QuoralError(error.code, error.message, facts, error.cause);
}

/** Whoever has a time or a signal of its own goes by itself. */
function fits({ method, body, timeoutMs, signal }: KeyCall): boolean {
  if (method === 'POST' || timeoutMs !== undefined || signal !== undefined) return false;
  return body === undefined || body.length <= VALUE_MAX;
}

function take(lane: Lane): readonly Item[] {
  let bytes = 0;
  let count = 0;
  for (const { call } of lane.waiting) {
    bytes += call.body?.length ?? 0;
    if (count === OPERATIONS_MAX || (bytes > BYTES_MAX && count > 0)) break;
    count += 1;
  }
  const items = lane.waiting.slice(0, count);
  lane.waiting = lane.waiting.slice(count);
  return items;
}

const META_PREFIX = 'quoral-meta-';
/** Headers of a request, and the members of an operation that stand for them. */
const MEMBERS: readonly (readonly [header: string, member: string])[] = [
  ['content-type', 'contentType'],
  ['content-encoding', 'contentEncoding'],
  ['quoral-context', 'context'],
  ['idempotency-key', 'idempotencyKey'],
  ['if-match', 'ifMatch'],
  ['if-none-match', 'ifNoneMatch'],
];
const NAMES: Readonly<Record<string, 'get' | 'put' | 'delete'>> = { GET: 'get', PUT: 'put', DELETE: 'delete' };

function operationOf({ bucket, key, call }: Item): object {
  const { method, headers = {}, body, query } = call;
  const operation: Record<string, unknown> = { op: NAMES[method], bucket, key };
  for (const [header, member] of MEMBERS) if (headers[header] !== undefined) operation[member] = headers[header];
  const below = headers['quoral-answered-below'];
  if (below !== undefined) operation['answeredBelow'] = Number(below);
  const meta = Object.entries(headers).filter(([name]) => name.startsWith(META_PREFIX));
  if (meta.length > 0)
    operation['meta'] = Object.fromEntries(meta.map(([name, value]) => [name.slice(META_PREFIX.length), value]));
  if (query?.['ttl'] !== undefined) operation['ttl'] = query['ttl'];
  return body === undefined ? operation : Object.assign(operation, valueMember(body));
}

function valueMember(body: Uint8Array | string): object {
  if (typeof body === 'string') return { value: body };
  try {
    return { value: fromUtf8(body) };
  } catch {
    return { value64: toBase64(body) };
  }
}

/** What a batch answers for one operation. */
interface Result {
  readonly status: number;
  readonly value?: string;
  readonly value64?: string;
  readonly meta?: Readonly<Record<string, string>>;
  readonly problem?: unknown;
  readonly [member: string]: unknown;
}

const RESULT_HEADERS: readonly (readonly [member: string, header: string])[] = [
  ['etag', 'etag'],
  ['context', 'quoral-context'],
  ['replicas', 'quoral-replicas'],
  ['coordinator', 'quoral-coordinator'],
  ['contentType', 'content-type'],
  ['contentEncoding', 'content-encoding'],
  ['lastModified', 'last-modified'],
  ['expires', 'quoral-expires'],
];

/** As the same request by itself would have been answered. */
function replyOf(result: Result, node: string | undefined): Reply {
  const headers = new Headers();
  for (const [member, header] of RESULT_HEADERS) {
    if (typeof result[member] === 'string') headers.set(header, result[member]);
  }
  for (const [name, value] of Object.entries(result.meta ?? {})) headers.set(META_PREFIX + name, value);
  return { status: result.status, headers, body: bodyOf(result), node };
}

function bodyOf(result: Result): Uint8Array {
  const { status, value, value64, problem } = result;
  if (problem !== undefined) return utf8(JSON.stringify(problem));
  if (status === 300) return utf8(JSON.stringify(result));
  return value64 === undefined ? utf8(value ?? '') : fromBase64(value64);
}
