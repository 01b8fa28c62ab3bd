/** The parts that decide by themselves. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ProblemCode } from '#api/problem.ts';
import { NODE_CODES, QuoralError, type NodeCode } from '#client/errors.ts';
import { EventReader, type ServerEvent } from '#client/event-stream.ts';
import { Nodes, type NodeEntry } from '#client/nodes.ts';
import { nextPause, RETRY_DEFAULTS, RetryBudget } from '#client/retry.ts';
import { ownersOf, parseRing } from '#client/ring-map.ts';
import { Session } from '#client/session.ts';
import { FakeWorld } from './fake.ts';

test('the client knows every code that a node answers with, and no other', () => {
  const codes: readonly ProblemCode[] = NODE_CODES;
  const missing: Exclude<ProblemCode, NodeCode>[] = [];
  expect([codes.length, missing]).toEqual([new Set(codes).size, []]);
});

describe('pauses', () => {
  const error = new QuoralError('quorum-timeout', 'x');
  const situation = { repeatable: true, others: true, leftMs: 1e9 };

  test('grow to their limit, anywhere between nothing and that', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (attempts, chance) => {
          const budget = new RetryBudget(RETRY_DEFAULTS);
          const pause = nextPause(error, { ...situation, attempts }, RETRY_DEFAULTS, budget, () => chance)!;
          expect(pause).toBeCloseTo(chance * Math.min(RETRY_DEFAULTS.pauseMaxMs, 25 * 2 ** (attempts - 1)));
        },
      ),
    );
  });

  test('there is none when it would outlast the operation', () => {
    const budget = new RetryBudget(RETRY_DEFAULTS);
    const late = { ...situation, attempts: 1, leftMs: 5 };
    expect(nextPause(error, late, RETRY_DEFAULTS, budget, () => 0.9)).toBeUndefined();
  });

  test('who asks to be left alone is, unless there is another node', () => {
    const overloaded = new QuoralError('overloaded', 'x', { retryAfterMs: 1000 });
    const ask = (others: boolean): number | undefined => {
      const budget = new RetryBudget(RETRY_DEFAULTS);
      return nextPause(overloaded, { ...situation, attempts: 1, others }, RETRY_DEFAULTS, budget, () => 0);
    };
    expect([ask(true), ask(false)]).toEqual([0, 1000]);
  });
});

describe('nodes', () => {
  const chance = (): number => 0.5;
  const none: ReadonlySet<NodeEntry> = new Set();

  test('an owner that works comes first, in the order of owners', () => {
    const nodes = new Nodes(['http://n1/', 'http://lb'], chance);
    nodes.learn(['n1', 'n2', 'n3'].map((id) => ({ id, url: `http://${id}` })));
    expect(nodes.size).toBe(4);
    const owner = nodes.choose(['n3', 'n2', 'n1'], none, 0);
    expect(owner.url).toBe('http://n3');
    nodes.failed(owner, 0, chance);
    expect(nodes.choose(['n3', 'n2', 'n1'], none, 1).url).toBe('http://n2');
    expect(nodes.choose(['n3', 'n2', 'n1'], none, 60_000).url).toBe('http://n3');
  });

  test('each is tried before one is tried again, those that seem down last', () => {
    const nodes = new Nodes(['http://a', 'http://b', 'http://c'], chance);
    const down = nodes.choose([], none, 0);
    nodes.failed(down, 0, chance);
    const tried = new Set<NodeEntry>();
    for (let i = 0; i < 3; i++) tried.add(nodes.choose([], tried, 1));
    expect([...tried].map(({ url }) => url).sort()).toEqual(['http://a', 'http://b', 'http://c']);
    expect([...tried].at(-1)).toBe(down);
  });

  test('without a preference requests are spread', () => {
    const nodes = new Nodes(['http://a', 'http://b', 'http://c'], chance);
    const chosen = Array.from({ length: 30 }, () => nodes.choose([], none, 0).url);
    for (const url of ['http://a', 'http://b', 'http://c'])
      expect(chosen.filter((one) => one === url)).toHaveLength(10);
  });

  test('failures in a row double the time to be left alone, one after the other', () => {
    const nodes = new Nodes(['http://a'], () => 1);
    const node = nodes.choose([], none, 0);
    const rests: number[] = [];
    for (let now = 0; rests.length < 7;) {
      nodes.failed(node, now, () => 1);
      nodes.failed(node, now + 1, () => 1);
      rests.push(node.downUntil - now);
      now = node.downUntil;
    }
    expect(rests).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
    nodes.works(node);
    expect([node.failures, node.downUntil]).toEqual([0, 0]);
  });
});

describe('the ring', () => {
  const view = {
    epoch: 1,
    partitions: 4,
    hashSeed: '000102030405060708090a0b0c0d0e0f',
    members: [{ id: 'n1', url: 'http://n1', zone: 'z' }],
    placements: { '1': [['n0'], ['n1'], ['n2'], ['n3']] },
  };

  test('golden owners: the hash is that of the nodes', () => {
    const ring = parseRing(JSON.stringify(view));
    const owners = (bucket: string, key: string): unknown => ownersOf(ring, 1, bucket, key)[0];
    // d2c1… is the hash of default/a and e507… that of photos/kéy/1 under this seed (see ring/locate).
    expect(owners('default', 'a')).toBe('n3');
    expect(owners('photos', 'kéy/1')).toBe('n3');
    expect(ownersOf(ring, 5, 'default', 'a')).toEqual([]);
  });

  test('one that lacks something is refused', () => {
    for (const without of ['partitions', 'hashSeed', 'members', 'placements'] as const)
      expect(() => parseRing(JSON.stringify({ ...view, [without]: undefined }))).toThrow('the ring lacks');
  });
});

describe('server-sent events', () => {
  const streams = fc.array(
    fc.record({
      id: fc.stringMatching(/^[a-z0-9]{1,6}$/),
      data: fc.array(fc.stringMatching(/^[ -~]{0,8}$/), { minLength: 1 }),
    }),
  );

  test('come out the same wherever the text was cut', () => {
    fc.assert(
      fc.property(
        streams,
        fc.constantFrom('\n', '\r\n'),
        fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
        (events, end, cuts) => {
          const whole = events
            .map(({ id, data }) => [`: beat`, `id: ${id}`, ...data.map((line) => `data: ${line}`), '', ''].join(end))
            .join('');
          const reader = new EventReader();
          const found: ServerEvent[] = [];
          for (let at = 0; at < whole.length;) {
            const length = cuts.next().value;
            found.push(...reader.read(whole.slice(at, at + length)));
            at += length;
          }
          expect(found).toEqual(events.map(({ id, data }) => ({ id, type: 'message', data: data.join('\n') })));
        },
      ),
    );
  });

  test('signs of life are no events, and one without an end is refused', () => {
    const reader = new EventReader();
    expect(reader.read(': beat\n\nevent: gone\ndata:x\n\n')).toEqual([{ id: undefined, type: 'gone', data: 'x' }]);
    expect(() => reader.read('x'.repeat(2 ** 20 + 1))).toThrow('MiB');
  });
});

describe('sessions', () => {
  const answer = (token: string): { headers: Headers } => ({ headers: new Headers({ 'quoral-session': token }) });

  test('an answer replaces the tokens that were sent, and only those', async () => {
    const session = new Session(new FakeWorld(() => undefined).runtime());
    const asked: string[] = [];
    const ask = async (token: string): Promise<unknown> =>
      session.around(async (tokens) => {
        asked.push(tokens);
        return answer(token);
      }, 1000);
    await Promise.all([ask('a'), ask('b')]);
    await ask('c');
    await ask('d');
    expect(asked).toEqual(['new', 'new', 'a,b', 'c']);
  });

  test('few requests are under way at once, so few tokens come together', async () => {
    const session = new Session(new FakeWorld(() => undefined).runtime());
    let underWay = 0;
    let most = 0;
    let longest = 0;
    const ask = async (i: number): Promise<unknown> =>
      session.around(async (tokens) => {
        longest = Math.max(longest, tokens.split(',').length);
        most = Math.max(most, ++underWay);
        for (let turn = 0; turn < i % 7; turn++) await Promise.resolve();
        underWay -= 1;
        return answer(`t${i}`);
      }, 1000);
    await Promise.all(Array.from({ length: 100 }, async (_, i) => ask(i)));
    expect([most, longest <= 5]).toEqual([4, true]);
  });

  test('contexts are remembered for the keys used last', () => {
    const session = new Session(new FakeWorld(() => undefined).runtime());
    for (let i = 0; i < 1024; i++) session.saw('b', `k${i}`, `c${i}`);
    session.saw('b', 'k0', 'newer');
    session.saw('b', 'k0', undefined);
    session.saw('b', 'one more', 'c');
    expect([session.contextOf('b', 'k0'), session.contextOf('b', 'k1')]).toEqual(['newer', undefined]);
  });
});
