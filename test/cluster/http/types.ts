/** Counters, sets, maps, registers and flags: what operations come to, at whichever node they are made. */

import { beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support.ts';
import {
  call,
  contextOf,
  defineBucket,
  definedBucket,
  del,
  etagOf,
  freshKey,
  get,
  invalid,
  jsonOf,
  NAMES,
  problem,
  put,
  type Answer,
  type Name,
  type Sent,
} from './site.ts';

const TYPES = ['counter', 'set', 'map', 'register', 'flag'] as const;
type Type = (typeof TYPES)[number];

const JSON_TYPE = { 'content-type': 'application/json' };

export function operate(target: string, operation: unknown, { headers, ...sent }: Sent = {}): Promise<Answer> {
  return call('POST', target, { ...sent, headers: { ...JSON_TYPE, ...headers }, body: JSON.stringify(operation) });
}

export async function done(answer: Promise<Answer>): Promise<Answer> {
  const { status, body } = await answer;
  expect([200, 204], body.toString()).toContain(status);
  return answer;
}

export async function valueAt(target: string, sent?: Sent): Promise<unknown> {
  const answer = await get(target, sent);
  return answer.status === 404 ? undefined : jsonOf(answer)['value'];
}

const increment = (by: number) => ({ op: 'increment', by });
const add = (...values: readonly unknown[]) => ({ op: 'add', values });
const remove = (...values: readonly unknown[]) => ({ op: 'remove', values });
const update = (field: string, type: Type, inner: unknown) => ({ op: 'update', field, type, with: inner });

export function typeTests(): void {
  describe.each(['eventual', 'strong'] as const)('data types in %s buckets', (consistency) => {
    const buckets = new Map<Type, string>();
    const key = (type: Type): string => freshKey(buckets.get(type));
    beforeAll(async () => {
      for (const type of TYPES) buckets.set(type, await definedBucket({ type, consistency }));
    });

    test('a counter counts at every node, up and down', async () => {
      const target = key('counter');
      problem(await get(target), 404, 'not-found');
      for (let i = 0; i < 9; i++) await done(operate(target, increment(i % 2 === 0 ? 5 : -2), { at: NAMES[i % 3] }));
      for (const at of NAMES) {
        const answer = await get(target, { at });
        expect(jsonOf(answer)).toMatchObject({ type: 'counter', value: 17 });
        expect(jsonOf(answer)['context']).toBe(consistency === 'strong' ? null : contextOf(answer));
        expect(etagOf(answer)).toBe(etagOf(await get(target)));
      }
    });

    test('increments at all nodes at once all count', async () => {
      const target = key('counter');
      await Promise.all(NAMES.flatMap((at) => [1, 2, 3, 4].map((by) => done(operate(target, increment(by), { at })))));
      expect(await valueAt(target)).toBe(30);
    });

    test('an increment that is sent again, to any node, counts once', async () => {
      const target = key('counter');
      const headers = { 'idempotency-key': 'once' };
      for (const at of [...NAMES, ...NAMES]) await done(operate(target, increment(7), { at, headers }));
      expect(await valueAt(target)).toBe(7);
      problem(await operate(target, increment(8), { headers }), 422, 'idempotency-mismatch');
      await done(operate(target, increment(8), { headers: { 'idempotency-key': 'twice' } }));
      await done(operate(target, increment(1)));
      expect(await valueAt(target)).toBe(16);
    });

    test('a set has what was added and not removed, whatever JSON it is', async () => {
      const target = key('set');
      await done(operate(target, add('b', 1, { y: 1, x: [2] }, 'a', null)));
      await done(operate(target, add('a', { x: [2], y: 1 }), { at: 'n2' }));
      await done(operate(target, remove('b', 'never there'), { at: 'n3' }));
      const value = (await valueAt(target, { at: 'n2' })) as readonly unknown[];
      expect(new Set(value.map((one) => JSON.stringify(one)))).toEqual(
        new Set(['"a"', '1', '{"x":[2],"y":1}', 'null']),
      );
      await done(operate(target, remove('a', 1, null, { x: [2], y: 1 })));
      expect(await valueAt(target)).toEqual([]);
      expect((await del(target)).status).toBe(204);
      problem(await get(target), 404, 'not-found');
    });

    test('a map holds all other types under its fields', async () => {
      const target = key('map');
      await done(operate(target, update('visits', 'counter', increment(3))));
      await done(operate(target, update('visits', 'counter', increment(4)), { at: 'n2' }));
      await done(operate(target, update('tags', 'set', add('x', 'y')), { at: 'n3' }));
      await done(operate(target, update('name', 'register', { op: 'assign', value: { first: 'Ada' } })));
      await done(operate(target, update('on', 'flag', { op: 'enable' })));
      await done(operate(target, update('deep', 'map', update('deeper', 'flag', { op: 'disable' }))));
      expect(jsonOf(await get(target, { at: 'n3' }))).toMatchObject({
        type: 'map',
        value: { visits: 7, tags: ['x', 'y'], name: { first: 'Ada' }, on: true, deep: { deeper: false } },
        types: { visits: 'counter', tags: 'set', name: 'register', on: 'flag', deep: { deeper: 'flag' } },
      });
      problem(await operate(target, update('visits', 'set', add(1))), 409, 'conflict');
      for (const field of ['deep', 'tags', 'never there']) await done(operate(target, { op: 'remove', field }));
      expect(await valueAt(target)).toEqual({ visits: 7, name: { first: 'Ada' }, on: true });
    });

    test('a register has what was assigned last, a flag what was said last', async () => {
      const [register, flag] = [key('register'), key('flag')];
      for (const [i, value] of ['one', 2, [3], null].entries()) {
        await done(operate(register, { op: 'assign', value }, { at: NAMES[i % 3] }));
        expect(await valueAt(register, { at: NAMES[(i + 1) % 3] })).toEqual(value);
      }
      for (const op of ['enable', 'disable', 'enable'] as const) {
        await done(operate(flag, { op }, { at: 'n2' }));
        expect(await valueAt(flag, { at: 'n3' })).toBe(op === 'enable');
      }
    });

    test('an operation can answer with what is there then, and depend on what was there before', async () => {
      const target = key('counter');
      const answer = await operate(`${target}?return=body`, increment(2));
      expect([answer.status, jsonOf(answer)['value']]).toEqual([200, 2]);
      const seen = { 'if-match': etagOf(answer) };
      await done(operate(target, increment(3), { headers: seen }));
      problem(await operate(target, increment(3), { headers: seen }), 412, 'precondition-failed');
      problem(await operate(target, increment(3), { headers: { 'if-none-match': '*' } }), 412, 'precondition-failed');
      expect(await valueAt(target)).toBe(5);
      const tag = etagOf(await get(target));
      expect((await get(target, { headers: { 'if-none-match': tag } })).status).toBe(304);
    });

    test('what does not fit the type is refused, and names why', async () => {
      const target = key('set');
      invalid(await put(target, 'a value'), 'bucket');
      invalid(await operate(target, increment(1)), 'op');
      invalid(await operate(target, { values: [1] }), 'op');
      invalid(await operate(target, { op: 'add' }), 'values');
      invalid(await operate(target, { op: 'add', values: [] }), 'values');
      invalid(await operate(target, { op: 'add', values: [1], more: 1 }), 'more');
      invalid(await operate(target, [1]), 'body');
      invalid(await call('POST', target, { headers: JSON_TYPE, body: '{"op":"add","values":[1e999]}' }), 'values');
      invalid(await call('POST', target, { headers: JSON_TYPE, body: 'add 1' }), 'body');
      invalid(await get(`${target}?sibling=x`), 'sibling');
      problem(await call('POST', target, { body: '{}' }), 415, 'unsupported-media-type');
      invalid(await operate(key('counter'), { op: 'increment', by: 1.5 }), 'by');
      invalid(await operate(key('map'), update('f', 'counter', { op: 'add', values: [1] })), 'with.op');
      invalid(await operate(key('map'), update('f', 'counter', { op: 'increment', by: 'x' })), 'with.by');
      problem(await get(target), 404, 'not-found');
      const large = key('counter');
      await done(operate(large, increment(Number.MAX_SAFE_INTEGER)));
      problem(await operate(large, increment(1)), 409, 'conflict');
    });

    test('each replica can be asked what it has', async () => {
      const target = key('set');
      await done(operate(target, add('x', 'y')));
      const { replicas } = jsonOf(await get(target.replace('/v1/kv/', '/v1/explain/'))) as unknown as {
        replicas: readonly { readonly versions: readonly unknown[] }[];
      };
      expect(Math.max(...replicas.map(({ versions }) => versions.length))).toBe(2);
    });
  });

  describe('data types and what clients have seen', () => {
    test('a removal takes what its context covers, and not what was added since', async () => {
      const target = freshKey(await definedBucket({ type: 'set' }));
      await done(operate(target, add('x', 'y')));
      const headers = { 'quoral-context': contextOf(await get(target)) };
      await done(operate(target, add('x', 'z'), { at: 'n2' }));
      await done(operate(target, remove('x', 'y', 'z'), { at: 'n3', headers }));
      expect(await valueAt(target)).toEqual(['x', 'z']);
      await done(operate(target, remove('x', 'y', 'z')));
      expect(await valueAt(target)).toEqual([]);
    });

    test('a field that was changed since stays, with what was changed', async () => {
      const target = freshKey(await definedBucket({ type: 'map' }));
      await done(operate(target, update('tags', 'set', add('old'))));
      const headers = { 'quoral-context': contextOf(await get(target)) };
      await done(operate(target, update('tags', 'set', add('new'))));
      await done(operate(target, { op: 'remove', field: 'tags' }, { headers }));
      expect(await valueAt(target)).toEqual({ tags: ['new'] });
    });

    test('a flag that was enabled since stays, and so do all values of a register that nobody has replaced', async () => {
      const flag = freshKey(await definedBucket({ type: 'flag' }));
      await done(operate(flag, { op: 'enable' }));
      const before = { 'quoral-context': contextOf(await get(flag)) };
      await done(operate(flag, { op: 'enable' }));
      await done(operate(flag, { op: 'disable' }, { headers: before }));
      expect(await valueAt(flag)).toBe(true);
      const register = freshKey(await definedBucket({ type: 'register' }));
      const first = await operate(`${register}?return=body`, { op: 'assign', value: 1 });
      const seen = { 'quoral-context': contextOf(first) };
      for (const value of [2, 3]) await done(operate(register, { op: 'assign', value }, { headers: seen }));
      expect(jsonOf(await get(register))).toMatchObject({ value: 3, concurrent: [2, 3] });
      const both = { 'quoral-context': contextOf(await get(register)) };
      await done(operate(register, { op: 'assign', value: 4 }, { headers: both }));
      expect(jsonOf(await get(register))).not.toHaveProperty('concurrent');
    });

    test('a session reads its own operations at any node', async () => {
      const target = freshKey(await definedBucket({ type: 'counter', r: 1, w: 1, dw: 0 }));
      let session = 'new';
      for (let i = 1; i <= 9; i++) {
        const written = await done(
          operate(target, increment(1), { at: NAMES[i % 3], headers: { 'quoral-session': session } }),
        );
        const sent = { at: NAMES[(i + 1) % 3], headers: { 'quoral-session': written.headers['quoral-session']! } };
        const read = await get(target, sent);
        expect(jsonOf(read)['value']).toBe(i);
        session = read.headers['quoral-session']!;
      }
    });

    test('elements of a set end one by one; what has no end of its own is refused one', async () => {
      const target = freshKey(await definedBucket({ type: 'set' }));
      await done(operate(target, add('stays')));
      const end = Date.now() + 1000;
      await done(operate(`${target}?ttl=1`, add('goes')));
      const both = await valueAt(target);
      // Later it may have ended by now.
      if (Date.now() < end) expect(both).toEqual(['goes', 'stays']);
      await until('it ends', async () => ((await valueAt(target)) as readonly unknown[]).length === 1);
      expect(await valueAt(target)).toEqual(['stays']);
      invalid(await operate(`${target}?ttl=1`, remove('stays')), 'ttl');
      const counter = freshKey(await definedBucket({ type: 'counter' }));
      invalid(await operate(`${counter}?ttl=1`, increment(1)), 'ttl');
      invalid(await defineBucket('never', { type: 'counter', ttl: 5 }), 'ttl');
      invalid(await operate(`${target}?ttl=60`, { op: 'touch' }), 'op');
    });

    test('fields of a map end as what stands in them, and what is counted does not', async () => {
      const target = freshKey(await definedBucket({ type: 'map', ttl: 2 }));
      await done(operate(`${target}?ttl=3600`, update('stays', 'register', { op: 'assign', value: 1 })));
      const end = Date.now() + 2000;
      await done(operate(target, update('goes', 'set', add('x'))));
      const both = await valueAt(target);
      if (Date.now() < end) expect(both).toEqual({ goes: ['x'], stays: 1 });
      invalid(await operate(target, update('counts', 'counter', increment(1))), 'type');
      await until('it ends', async () => !('goes' in ((await valueAt(target)) as object)));
      expect(await valueAt(target)).toEqual({ stays: 1 });
    });

    test('a counter of a strong bucket ends as a whole, and a touch keeps it', async () => {
      const bucket = await definedBucket({ type: 'counter', consistency: 'strong', ttl: 2 });
      const [goes, stays] = [freshKey(bucket), freshKey(bucket)];
      for (const at of NAMES) for (const target of [goes, stays]) await done(operate(target, increment(5), { at }));
      await done(operate(`${stays}?ttl=3600`, { op: 'touch' }, { at: 'n2' }));
      await until('it ends', async () => (await valueAt(goes)) === undefined);
      await done(operate(goes, increment(1)));
      expect([await valueAt(goes), await valueAt(stays)]).toEqual([1, 15]);
    });

    test('a type is fixed once there are keys', async () => {
      const bucket = await definedBucket({ type: 'set' });
      const target = freshKey(bucket);
      await done(operate(target, add(1)));
      problem(await defineBucket(bucket, { type: 'counter' }), 409, 'conflict');
      expect(jsonOf(await get(`/v1/buckets/${bucket}`))).toMatchObject({ type: 'set' });
    });

    test('a large set is sent and shown whole', async () => {
      const target = freshKey(await definedBucket({ type: 'set' }));
      const values = Array.from({ length: 2000 }, (_, i) => `element number ${10_000 + i}`);
      await done(operate(target, add(...values)));
      await done(operate(target, remove(...values.slice(0, 1000)), { at: 'n2' }));
      for (const at of NAMES) expect(await valueAt(target, { at })).toEqual(values.slice(1000));
      const many = { op: 'add', values: Array.from({ length: 10_000 }, (_, i) => i) };
      problem(await operate(target, many, { at: 'n3' }), 413, 'value-too-large');
    });
  });
}

/** What is counted, added and taken away while one of three is dead is there when it is back, and only once. */
export async function typesWithOneDead(
  kill: (name: Name) => Promise<void>,
  restart: (name: Name) => Promise<void>,
): Promise<void> {
  const counter = freshKey(await definedBucket({ type: 'counter' }));
  const set = freshKey(await definedBucket({ type: 'set' }));
  const strong = freshKey(await definedBucket({ type: 'counter', consistency: 'strong' }));
  for (const at of NAMES) {
    await done(operate(counter, increment(1), { at }));
    await done(operate(strong, increment(1), { at }));
    await done(operate(set, add(at, 'all'), { at }));
  }
  const seen = { 'quoral-context': contextOf(await get(set)) };
  await kill('n3');
  const again = { 'idempotency-key': 'while n3 is dead' };
  for (const at of ['n1', 'n2', 'n1'] as const) {
    await done(operate(counter, increment(10), { at, headers: again }));
    await done(operate(counter, increment(100), { at }));
    await done(operate(strong, increment(10), { at, headers: again }));
    await done(operate(strong, increment(100), { at }));
  }
  await done(operate(set, add('n3'), { at: 'n2' }));
  await done(operate(set, remove('n1', 'n3'), { at: 'n1', headers: seen }));
  await restart('n3');
  for (const at of ['n3', 'n1', 'n2'] as const) {
    await done(operate(counter, increment(10), { at, headers: again }));
    await done(operate(strong, increment(10), { at, headers: again }));
    expect(await valueAt(counter, { at })).toBe(313);
    expect(await valueAt(strong, { at })).toBe(313);
    expect(await valueAt(set, { at })).toEqual(['all', 'n2', 'n3']);
  }
}
