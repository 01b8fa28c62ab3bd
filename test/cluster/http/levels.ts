/** How much agreement a request asks for: every parameter, every mistake in one, and what the answer says of it. */

import { beforeAll, describe, expect, test } from 'vitest';
import { call, definedBucket, del, freshKey, get, invalid, NAMES, problem, put, site, type Answer } from './site.ts';

interface Agreement {
  readonly acked: number;
  readonly needed: number;
  readonly of: number;
  readonly fallbacks: number;
}

export function agreementOf(answer: Answer): Agreement {
  const match = /^acked=(\d+); needed=(\d+); of=(\d+); fallbacks=(\d+)$/.exec(answer.headers['quoral-replicas'] ?? '');
  if (match === null) throw new Error(`Quoral-Replicas: ${answer.headers['quoral-replicas']} of ${answer.status}`);
  const [acked, needed, of, fallbacks] = match.slice(1).map(Number);
  return { acked: acked!, needed: needed!, of: of!, fallbacks: fallbacks! };
}

async function needs(target: string, query: string, read: number, write: number): Promise<void> {
  const answers = [
    [write, await put(`${target}${query}`, 'x')],
    [read, await get(`${target}${query}`, { at: 'n2' })],
    [write, await del(`${target}${query}`, { at: 'n3' })],
  ] as const;
  for (const [needed, answer] of answers) {
    // One replica may not have heard of what one replica has confirmed.
    const mayMiss = answer === answers[1][1] && read + write <= 3 && answer.status === 404;
    if (!mayMiss) expect(answer.status, `${query}: ${answer.body.toString()}`).toBeLessThan(300);
    const agreement = agreementOf(answer);
    expect({ query, ...agreement }).toMatchObject({ query, needed, fallbacks: 0 });
    expect(agreement.acked).toBeGreaterThanOrEqual(needed);
  }
}

export function levelTests(): void {
  describe('numbers and words', () => {
    test.each([
      ['', 2, 2],
      ['?r=1', 1, 2],
      ['?r=2', 2, 2],
      ['?r=3', 3, 2],
      ['?r=one&w=all', 1, 3],
      ['?r=all', 3, 2],
      ['?r=quorum&w=quorum', 2, 2],
      ['?w=1', 2, 1],
      ['?w=3', 2, 3],
      ['?w=one&dw=one', 2, 1],
      ['?w=1&dw=0', 2, 1],
      ['?w=1&dw=0&pw=0', 2, 1],
      ['?w=3&dw=3&pw=3', 2, 3],
      ['?w=all&dw=all&pw=all', 2, 3],
      ['?r=3&pr=3', 3, 2],
      ['?r=1&pr=0', 1, 2],
      ['?r=2&pr=one', 2, 2],
      ['?r=all&pr=all&w=all&pw=quorum&dw=one&sloppy=false', 3, 3],
      ['?sloppy=true', 2, 2],
      ['?sloppy=false', 2, 2],
      ['?timeout=60000', 2, 2],
      ['?consistency=one', 1, 1],
      ['?consistency=quorum', 2, 2],
      ['?consistency=strict_quorum', 2, 2],
      ['?consistency=all', 3, 3],
      // All nodes of this cluster are in one zone.
      ['?consistency=local_quorum', 2, 2],
      ['?consistency=all&timeout=5000', 3, 3],
    ])('%s needs %d to read and %d to write', async (query, read, write) => {
      await needs(freshKey(), query, read, write);
    });

    test('a request that has hardly any time is in time or late, and never tells that replicas cannot be reached', async () => {
      const target = freshKey();
      for (let i = 0; i < 30; i++) {
        for (const answer of [await put(`${target}?timeout=1`, 'x'), await get(`${target}?timeout=1`)]) {
          if (answer.status !== 504) expect([200, 204, 404]).toContain(answer.status);
          else problem(answer, 504, 'quorum-timeout');
        }
      }
    });

    test('what a request does not use is checked all the same', async () => {
      const target = freshKey();
      invalid(await get(`${target}?w=4`.replace('w=4', 'w=four')), 'w');
      invalid(await put(`${target}?r=four`, 'x'), 'r');
      problem(await get(target), 404, 'not-found');
    });
  });

  describe('mistakes', () => {
    test.each(['r', 'w'])('%s is 1 to n or a word', async (name) => {
      const target = freshKey();
      for (const text of [
        '0',
        '4',
        '7',
        '-1',
        '+1',
        '01',
        '1.0',
        '1e0',
        '0x1',
        '%201',
        '',
        'two',
        'ONE',
        'Quorum',
        '1,1',
        '99999999999999999999',
      ])
        for (const method of name === 'r' ? ['GET', 'HEAD'] : ['PUT', 'DELETE']) {
          const answer = await call(method, `${target}?${name}=${text}`);
          if (method === 'HEAD') expect(answer.status, text).toBe(400);
          else invalid(answer, name);
        }
    });

    test.each(['pr', 'pw', 'dw'])('%s is 0 to n or a word', async (name) => {
      const target = freshKey();
      const whole = name === 'pr' ? 'r' : 'w';
      for (const text of ['4', '-1', '00', '1.5', '', 'none', 'All'])
        invalid(await call(name === 'pr' ? 'GET' : 'PUT', `${target}?${whole}=3&${name}=${text}`), name);
    });

    test.each([
      ['r=1&pr=2', 'pr', 'GET'],
      ['r=one&pr=quorum', 'pr', 'GET'],
      ['pr=3', 'pr', 'GET'],
      ['pr=all', 'pr', 'DELETE'],
      ['w=1&pw=2', 'pw', 'PUT'],
      ['w=1&pw=quorum', 'pw', 'PUT'],
      ['pw=3', 'pw', 'DELETE'],
      ['w=2&dw=3', 'dw', 'PUT'],
      ['w=one&dw=all', 'dw', 'DELETE'],
      ['dw=all', 'dw', 'PUT'],
    ])('a part that asks for more than the whole is refused: %s', async (query, field, method) => {
      const target = freshKey();
      invalid(await call(method, `${target}?${query}`), field);
      problem(await get(target), 404, 'not-found');
    });

    test('a part that is inherited gives way instead', async () => {
      const bucket = await definedBucket({ r: 'all', pr: 'quorum', w: 'all', pw: 2, dw: 'all' });
      await needs(`/v1/kv/${bucket}/k`, '', 3, 3);
      await needs(`/v1/kv/${bucket}/k`, '?r=1&w=1', 1, 1);
      await needs(`/v1/kv/${bucket}/k`, '?r=2&w=2&dw=1', 2, 2);
      const target = freshKey();
      // Of the defaults, dw is a majority.
      await needs(target, '?w=1', 2, 1);
    });

    test.each(['most', 'QUORUM', '', 'strict-quorum', '1', 'eventual', 'strong'])(
      'consistency=%s is none',
      async (word) => {
        invalid(await get(`${freshKey()}?consistency=${word}`), 'consistency');
        invalid(await put(`${freshKey()}?consistency=${word}`, 'x'), 'consistency');
      },
    );

    test.each(['r=1', 'w=1', 'pr=0', 'pw=0', 'dw=1', 'sloppy=true'])(
      'consistency stands for %s, so both are not given',
      async (part) => {
        for (const word of ['one', 'quorum', 'strict_quorum', 'all', 'local_quorum']) {
          const answer = await put(`${freshKey()}?${part}&consistency=${word}`, 'x');
          const members = problem(answer, 400, 'invalid-request');
          expect(members['detail']).toContain(part.split('=')[0]);
          expect(members['detail']).toContain('consistency');
        }
      },
    );

    test.each(['yes', '1', '', 'TRUE', 'False'])('sloppy=%s is neither true nor false', async (word) => {
      invalid(await put(`${freshKey()}?sloppy=${word}`, 'x'), 'sloppy');
    });

    test.each(['0', '60001', '-1', '1.5', '', '5s', '1e3', '+5', '05', '100000000000'])(
      'timeout=%s is no time from 1 to 60000',
      async (text) => {
        for (const method of ['GET', 'PUT', 'DELETE'])
          invalid(await call(method, `${freshKey()}?timeout=${text}`), 'timeout');
      },
    );

    test.each(['r=1&r=1', 'r=1&r=2', 'w=1&timeout=5&w=1', '%72=1&r=1', 'consistency=one&consistency=one'])(
      '%s repeats a parameter',
      async (query) => {
        const members = problem(await put(`${freshKey()}?${query}`, 'x'), 400, 'invalid-request');
        expect(members['detail']).toContain('more than once');
      },
    );

    test.each([
      'R=1',
      'rr=1',
      'quorum=2',
      'n=3',
      'x',
      '=1',
      '&',
      'r=1&',
      'durable=true',
      '%00=1',
      'q%=1',
      '__proto__=1',
    ])('%s holds a parameter that is unknown', async (query) => {
      const target = freshKey();
      for (const method of ['GET', 'PUT', 'DELETE'])
        problem(await call(method, `${target}?${query}`), 400, 'invalid-request');
      problem(await get(target), 404, 'not-found');
    });

    test('a parameter of writing has no place in a reading, and the other way round', async () => {
      const target = freshKey();
      for (const query of ['ttl=5', 'return=body']) problem(await get(`${target}?${query}`), 400, 'invalid-request');
      problem(await put(`${target}?sibling=x`, 'x'), 400, 'invalid-request');
    });

    test('the first mistake is named, with what is allowed', async () => {
      const members = problem(await get(`${freshKey()}?r=4`), 400, 'invalid-request');
      expect(members['detail']).toMatch(/r=4.*n=3/);
    });
  });

  describe('a bucket with more replicas than there are nodes', () => {
    let bucket: string;
    beforeAll(async () => {
      bucket = await definedBucket({ n: 5 });
    });

    test('words count the replicas that there are', async () => {
      await needs(`/v1/kv/${bucket}/k`, '', 2, 2);
      await needs(`/v1/kv/${bucket}/k`, '?r=all&w=all', 3, 3);
      await needs(`/v1/kv/${bucket}/k`, '?consistency=all', 3, 3);
      await needs(`/v1/kv/${bucket}/k`, '?consistency=strict_quorum', 2, 2);
    });

    test.each([
      ['GET', 'r=4', 4],
      ['GET', 'r=5', 5],
      ['PUT', 'w=4', 4],
      ['DELETE', 'w=5', 5],
      ['PUT', 'w=5&dw=4', 5],
      ['GET', 'r=5&pr=4', 5],
    ])('%s with %s cannot be met now, and nothing was written', async (method, query, needed) => {
      const answer = await call(method, `/v1/kv/${bucket}/other?${query}`);
      const members = problem(answer, 503, 'quorum-unavailable');
      expect(members).toMatchObject({ needed, got: expect.any(Number) as number });
      expect(members['outcome']).toBe(method === 'GET' ? undefined : 'not-applied');
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
      problem(await get(`/v1/kv/${bucket}/other`), 404, 'not-found');
    });

    test.each(['r=6', 'r=7', 'r=8'])('%s could never be met', async (query) => {
      invalid(await get(`/v1/kv/${bucket}/k?${query}`), 'r');
    });
  });

  describe('a bucket with one replica', () => {
    test('serves from every node, and one is all', async () => {
      const bucket = await definedBucket({ n: 1 });
      const coordinators = new Set<string>();
      for (let i = 0; i < 12; i++) {
        const target = freshKey(bucket);
        const written = await put(`${target}?w=all`, String(i), { at: NAMES[i % 3] });
        expect(agreementOf(written)).toEqual({ acked: 1, needed: 1, of: 1, fallbacks: 0 });
        // The owner writes, whichever node was asked.
        const { primaries } = JSON.parse(
          (await get(target.replace('/v1/kv/', '/v1/ring/locate/'))).body.toString(),
        ) as { primaries: readonly string[] };
        expect(primaries).toEqual([written.headers['quoral-coordinator']]);
        coordinators.add(written.headers['quoral-coordinator']!);
        for (const at of NAMES) expect((await get(target, { at })).body.toString()).toBe(String(i));
        invalid(await get(`${target}?r=2`), 'r');
      }
      expect(coordinators.size).toBeGreaterThan(1);
    });
  });

  describe('every answer says what happened', () => {
    test('how many replicas agreed, who coordinated, how long it took, and its own name', async () => {
      const target = freshKey();
      for (const at of NAMES) {
        const answers = [
          await put(target, 'x', { at }),
          await get(target, { at }),
          await call('HEAD', target, { at }),
          await get(target, { at, headers: { 'if-none-match': '*' } }),
          await del(target, { at }),
          await get(target, { at }),
        ];
        expect(answers.map(({ status }) => status)).toEqual([204, 200, 200, 304, 204, 404]);
        for (const answer of answers) {
          expect(agreementOf(answer)).toMatchObject({ needed: 2, of: 3, fallbacks: 0 });
          expect(site().ids).toContain(answer.headers['quoral-coordinator']);
          expect(answer.headers['server-timing']).toMatch(/^[\w-]+;dur=[\d.]+/);
          expect(answer.headers['x-request-id']).toMatch(/^[\x21-\x7e]+$/);
        }
      }
    });

    test('a request keeps the id that it came with, and a malformed one is refused', async () => {
      const id = 'a-b_c.1/~';
      expect((await get(freshKey(), { headers: { 'x-request-id': id } })).headers['x-request-id']).toBe(id);
      for (const bad of ['', 'a b', 'x'.repeat(129)])
        invalid(await get(freshKey(), { headers: { 'x-request-id': bad } }), 'X-Request-Id');
    });

    test('errors too', async () => {
      for (const answer of [
        await get('/v1/nothing'),
        await get(`${freshKey()}?r=9`),
        await call('PATCH', freshKey()),
      ]) {
        expect(answer.headers['x-request-id']).toMatch(/./);
        expect(answer.headers['server-timing']).toMatch(/dur=/);
        expect(answer.headers['cache-control']).toBe('no-store');
      }
    });
  });
}
