/** What is large is put together, and taken apart, in turns: how much is asked for, when, and what is said without a turn. */

import { describe, expect, test } from 'vitest';
import { utf8 } from '#kernel/bytes.ts';
import { harness, jsonOf, type Harness } from './client.ts';

const SIZE = 100_000;
const PATH = '/v1/kv/b/k';
const JSON_BODY = { 'content-type': 'application/json' };

/** Turns are given when the test says so. */
class Turns {
  readonly asked: { readonly bytes: number; readonly deadline: number }[] = [];
  gives: boolean | undefined;
  #waiting: ((given: boolean) => void)[] = [];

  take(bytes: number, deadline: number): boolean | Promise<boolean> {
    if (bytes < SIZE) return true;
    this.asked.push({ bytes, deadline });
    return this.gives ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  next(given = true): void {
    this.#waiting.shift()?.(given);
  }

  get waiting(): number {
    return this.#waiting.length;
  }
}

/** `k` has two siblings of that size, `x` and `y` have one value each. */
async function withTurns(): Promise<Harness & { readonly turns: Turns }> {
  const turns = new Turns();
  turns.gives = true;
  const { node, send } = harness((stub) => {
    stub.properties.set('b', { conflicts: 'siblings' });
    stub.answerTurns = turns;
  });
  for (const key of ['k', 'k', 'x', 'y']) await send('PUT', `/v1/kv/b/${key}`, {}, new Uint8Array(SIZE));
  turns.gives = undefined;
  return { node, send, turns };
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('siblings', () => {
  test.each([{}, { accept: 'application/json' }])('are put together in a turn: %j', async (headers) => {
    const { send, turns } = await withTurns();
    const answer = send('GET', PATH, headers);
    await settled();
    expect(turns.asked.map(({ bytes }) => bytes)).toEqual([2 * SIZE]);
    turns.next();
    expect((await answer).status).toBe(300);
  });

  test('of a read without a turn are not shown, and the client may ask again', async () => {
    const { send, turns } = await withTurns();
    turns.gives = false;
    const answer = await send('GET', PATH);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '1']);
    expect(turns.asked[0]!.deadline).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  test('of a write are shown whatever the time: it is done', async () => {
    const { send, turns } = await withTurns();
    turns.gives = false;
    const answer = await send('PUT', `${PATH}?return=body`, {}, utf8('more'));
    expect([answer.status, answer.body.length > 2 * SIZE]).toEqual([300, true]);
    expect(turns.asked).toEqual([{ bytes: 2 * SIZE + 4, deadline: Number.POSITIVE_INFINITY }]);
  });

  test('a single value leaves as it is, one of the siblings too', async () => {
    const { send, turns } = await withTurns();
    const { siblings } = await (async () => {
      turns.gives = true;
      return jsonOf(await send('GET', PATH, { accept: 'application/json' })) as { siblings: { etag: string }[] };
    })();
    turns.asked.length = 0;
    expect((await send('GET', '/v1/kv/b/x')).status).toBe(200);
    expect((await send('GET', `${PATH}?sibling=${siblings[0]!.etag}`)).status).toBe(200);
    expect(turns.asked).toEqual([]);
  });
});

describe('batches', () => {
  const post = (send: Harness['send'], operations: readonly object[]) =>
    send('POST', '/v1/batch', JSON_BODY, utf8(JSON.stringify({ operations })));
  const get = (key: string) => ({ op: 'get', bucket: 'b', key });
  const statuses = (answer: Parameters<typeof jsonOf>[0]) =>
    (jsonOf(answer)['results'] as { status: number; problem?: object }[]).map(({ status }) => status);

  test('show one value a turn, and the whole in one more', async () => {
    const { send, turns } = await withTurns();
    const answer = post(send, [get('x'), get('y')]);
    for (const asked of [[SIZE], [SIZE, SIZE], [SIZE, SIZE, 2 * SIZE]]) {
      await settled();
      expect(turns.asked.map(({ bytes }) => bytes)).toEqual(asked);
      expect(turns.waiting).toBe(1);
      turns.next();
    }
    expect(statuses(await answer)).toEqual([200, 200]);
  });

  test('a value without a turn is not shown, the others are', async () => {
    const { send, turns } = await withTurns();
    const answer = post(send, [get('x'), get('y')]);
    for (const given of [false, true, true]) {
      await settled();
      turns.next(given);
    }
    expect(statuses(await answer)).toEqual([429, 200]);
  });

  test('large values that come in one are read in turns; what has none in time was not applied', async () => {
    const { node, send, turns } = await withTurns();
    const before = node.writes.length;
    const put = (key: string) => ({ op: 'put', bucket: 'b', key, value: 'v'.repeat(SIZE) });
    const answer = post(send, [put('p'), { ...put('q'), idempotencyKey: 'once' }, put('r')]);
    await settled();
    expect(turns.asked.map(({ bytes }) => bytes > 3 * SIZE)).toEqual([true]);
    turns.next();
    await settled();
    expect(turns.asked.slice(1).map(({ bytes }) => bytes)).toEqual([SIZE, SIZE, SIZE]);
    expect(node.writes.length).toBe(before);
    turns.next(false);
    turns.next(false);
    turns.next(true);
    const results = jsonOf(await answer)['results'] as { status: number; problem?: { outcome: string } }[];
    expect(results.map(({ status, problem }) => [status, problem?.outcome])).toEqual([
      [429, 'not-applied'],
      [429, 'unknown'],
      [204, undefined],
    ]);
  });

  test('a batch that is not read for want of a turn is refused as a whole', async () => {
    const { node, send, turns } = await withTurns();
    const before = node.writes.length;
    turns.gives = false;
    const answer = await post(send, [{ op: 'put', bucket: 'b', key: 'p', value: 'v'.repeat(SIZE) }]);
    // Nobody has seen whether idempotency keys are in it, of operations that were sent before.
    expect([answer.status, jsonOf(answer)['outcome']]).toEqual([429, 'unknown']);
    expect(node.writes.length).toBe(before);
  });
});
