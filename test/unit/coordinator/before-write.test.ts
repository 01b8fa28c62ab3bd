/** What an owner's knowledge means for a write, before anything is minted. */

import { expect, test } from 'vitest';
import { DEFAULT_PROPERTIES } from '#buckets/definition.ts';
import { etagOf } from '#causality/etag.ts';
import type { State } from '#causality/state.ts';
import { answersForRetries, decide } from '#coordinator/before-write.ts';
import type { Gathered } from '#coordinator/get.ts';
import type { WriteRequest } from '#coordinator/requests.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { epoch, nodeId, nodeIndex } from '#kernel/identity.ts';
import type { RetryRow } from '#replica/retry-codec.ts';

const SELF = nodeId('n1');
const CONTENT = { value: utf8('v'), contentType: 'a/b', contentEncoding: '', meta: [] };
const MARK = { id: new Uint8Array(16).fill(1), fingerprint: new Uint8Array(16).fill(2) };
const AGREEMENT = { acked: 2, needed: 2, of: 3, fallbacks: 0 };

function dot(counter: number, node = 1) {
  return { node: nodeIndex(node), tenure: 1, counter };
}

function row(counter: number, changes: Partial<RetryRow> = {}): RetryRow {
  return { ...MARK, dot: dot(counter), until: 1e15, ...changes };
}

const STATE: State = { vector: [dot(7)], versions: [{ dot: dot(7), content: CONTENT, expiresAt: 0 }] };
const ETAG = etagOf(STATE.versions);

function request(changes: Partial<WriteRequest> = {}): WriteRequest {
  return {
    requestId: 'r',
    bucket: { name: 'b', incarnation: 0, version: epoch(0), properties: DEFAULT_PROPERTIES },
    key: utf8('k'),
    deadline: 1000,
    content: CONTENT,
    context: null,
    conditions: null,
    mark: null,
    ttl: 0,
    ...{ r: 2, pr: 0, w: 2, pw: 0, dw: 2 },
    sloppy: true,
    returnBody: false,
    ...changes,
  };
}

function found(changes: Partial<Extract<Gathered, { kind: 'gathered' }>> = {}): Gathered {
  return { kind: 'gathered', state: STATE, agreement: AGREEMENT, retries: [], retriesFull: false, ...changes };
}

const FAILED: Gathered = {
  kind: 'failed',
  trouble: 'quorum-timeout',
  detail: 'late',
  agreement: { ...AGREEMENT, acked: 1 },
  retries: [],
};

const LOOKED = { now: 0, self: SELF, origin: 5, looks: true };

const IF_OTHER = { ifMatch: [{ weak: false, opaque: 'other' }], ifNoneMatch: undefined };

test('a write is minted with its context; a delete without one takes what was found', () => {
  const context = [dot(3)];
  expect(decide(request({ context }), found(), LOOKED)).toEqual({ kind: 'mint', context, base: null, after: 7 });
  expect(decide(request({ mark: MARK }), found(), LOOKED)).toEqual({ kind: 'mint', context: [], base: null, after: 7 });
  expect(decide(request({ content: null }), found(), LOOKED)).toEqual({
    kind: 'mint',
    context: STATE.vector,
    base: null,
    after: 7,
  });
});

test('a condition that holds lends its state as the context, one that does not ends the write', () => {
  const ifMatch = [{ weak: false, opaque: ETAG }];
  const matching = request({ conditions: { ifMatch, ifNoneMatch: undefined } });
  expect(decide(matching, found(), LOOKED)).toEqual({ kind: 'mint', context: STATE.vector, base: null, after: 7 });
  const failed = { kind: 'precondition-failed', agreement: AGREEMENT, coordinator: SELF, etag: ETAG };
  expect(decide(request({ conditions: IF_OTHER }), found(), LOOKED)).toEqual({ kind: 'over', outcome: failed });
  const create = request({ conditions: { ifMatch: undefined, ifNoneMatch: '*' } });
  expect(decide(create, found(), LOOKED)).toEqual({ kind: 'over', outcome: failed });
  const gone = found({ state: { vector: [dot(7)], versions: [{ dot: dot(7), content: CONTENT, expiresAt: 5 }] } });
  expect(decide(create, gone, { ...LOOKED, now: 6 })).toEqual({ kind: 'mint', context: [], base: null, after: 7 });
});

test('a request that was carried out is found before its conditions are judged', () => {
  const first = row(7);
  const again = { kind: 'again', state: STATE, first, origin: 5 };
  const retry = request({ mark: MARK, conditions: IF_OTHER });
  expect(decide(retry, found({ retries: [first] }), LOOKED)).toEqual(again);
  // Also by the answers of too few, and while the owners take no new idempotency keys.
  expect(decide(retry, { ...FAILED, retries: [first], state: STATE }, LOOKED)).toEqual(again);
  expect(decide(retry, found({ retries: [first], retriesFull: true }), LOOKED)).toEqual(again);
});

test('of two attempts the first counts; a row without the write that it names counts for nothing', () => {
  const rows = [row(7), row(4, { dot: dot(4, 2) }), row(9)];
  const state = { vector: [dot(7), dot(5, 2)], versions: STATE.versions };
  const decision = decide(request({ mark: MARK }), found({ retries: rows, state }), LOOKED);
  expect(decision).toMatchObject({ kind: 'again', first: { dot: dot(4, 2) } });
  expect(decide(request({ mark: MARK }), found({ retries: [row(8)] }), LOOKED).kind).toBe('mint');
});

test('an attempt whose row is not known is found by its version', () => {
  const version = { dot: dot(7), content: CONTENT, expiresAt: 0, request: toHex(MARK.fingerprint) };
  const state = { vector: [dot(7)], versions: [version] };
  const decision = decide(request({ mark: MARK }), found({ state }), LOOKED);
  expect(decision).toMatchObject({ kind: 'again', first: { ...MARK, dot: dot(7) } });
});

test('the idempotency key of another request is refused, whoever answers', () => {
  const other = row(7, { fingerprint: new Uint8Array(16).fill(3) });
  for (const gathered of [found({ retries: [other] }), { ...FAILED, retries: [other] }]) {
    const decision = decide(request({ mark: MARK, conditions: IF_OTHER }), gathered, LOOKED);
    expect(decision).toMatchObject({ kind: 'over', outcome: { trouble: 'idempotency-mismatch' } });
  }
});

test('nothing is minted when too few answer, or when an owner remembers as many idempotency keys as it may', () => {
  const late = { kind: 'over', outcome: { kind: 'not-applied', trouble: 'quorum-timeout', agreement: { needed: 2 } } };
  expect(decide(request({ mark: MARK }), FAILED, LOOKED)).toMatchObject(late);
  const full = { kind: 'over', outcome: { trouble: 'overloaded' } };
  expect(decide(request({ mark: MARK }), found({ retriesFull: true }), LOOKED)).toMatchObject(full);
  expect(decide(request({ content: null }), found({ retriesFull: true }), LOOKED).kind).toBe('mint');
});

test('enough owners are asked that one of them knows an attempt that w owners have confirmed', () => {
  for (let owners = 1; owners <= 7; owners++) {
    for (let w = 1; w <= owners; w++) expect(answersForRetries(owners, w) + w).toBeGreaterThan(owners);
  }
  expect([answersForRetries(3, 1), answersForRetries(3, 2), answersForRetries(3, 3)]).toEqual([3, 2, 2]);
});

test('an operation that takes something away is made on top of what was read, and takes what the client has seen', () => {
  const remove = { content: null, operation: { kind: 'remove' as const, values: ['1'] } };
  const base = { state: STATE, origin: 5 };
  expect(decide(request(remove), found(), LOOKED)).toEqual({ kind: 'mint', context: STATE.vector, base, after: 7 });
  const context = [dot(3)];
  expect(decide(request({ ...remove, context }), found(), LOOKED)).toEqual({ kind: 'mint', context, base, after: 7 });
});

test('an operation whose earlier attempts were asked for, and nothing else, is made on top of what is here', () => {
  const add = { content: null, operation: { kind: 'add' as const, values: ['1'] }, mark: MARK };
  const looked = { ...LOOKED, looks: false };
  expect(decide(request(add), found(), looked)).toEqual({ kind: 'mint', context: [], base: null, after: 7 });
});

test('a context that nobody knows all of is no fault of a session', () => {
  const remove = { content: null, operation: { kind: 'remove' as const, values: ['1'] }, context: [dot(3)] };
  const unmet: Gathered = { ...FAILED, trouble: 'session-not-met' };
  expect(decide(request(remove), unmet, LOOKED)).toMatchObject({
    kind: 'over',
    outcome: { kind: 'not-applied', trouble: 'quorum-unavailable' },
  });
});

test('a touch is made of what was read, and of nothing when there is nothing', () => {
  const touch = request({ content: null, operation: { kind: 'touch' }, ttl: 1000 });
  expect(decide(touch, found(), LOOKED)).toEqual({
    kind: 'mint',
    context: STATE.vector,
    base: { state: STATE, origin: 5 },
    after: 7,
  });
  const ended: State = { ...STATE, versions: [{ ...STATE.versions[0]!, expiresAt: 9 }] };
  for (const state of [ended, { vector: STATE.vector, versions: [] }])
    expect(decide(touch, found({ state }), { ...LOOKED, now: 9 })).toMatchObject({
      kind: 'over',
      outcome: { kind: 'precondition-failed', etag: undefined },
    });
  expect(decide(touch, FAILED, LOOKED)).toMatchObject({ kind: 'over', outcome: { kind: 'not-applied' } });
});
