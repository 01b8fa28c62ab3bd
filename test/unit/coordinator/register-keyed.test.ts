/** What a strong key remembers of requests with idempotency keys, and what it may let go of. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hybridTimeAt } from '#causality/hybrid-clock.ts';
import { REQUEST_WINDOW_MS, type Numbered, type RequestMark } from '#causality/repeats.ts';
import { KEYED_MAX } from '#coordinator/register-keyed.ts';
import { markFromWire, markToWire } from '#coordinator/request-codec.ts';
import { decodeValue, encodeValue } from '#coordinator/register-value-codec.ts';
import { changeValue, NO_VALUE, type ChangeResult, type RegisterValue } from '#coordinator/register-value.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { retryFromWire } from '#replica/retry-codec.ts';
import { decode } from '#wire/codec.ts';
import { digest } from '#world/digest.ts';

const START = Date.UTC(2026, 0, 1);

function hash(text: string): Uint8Array {
  return digest.sha256(utf8(text)).subarray(0, 16);
}

/** A request of the series with that number, whose client says that those below are over; 0 for nothing said. */
function mark(series: string, number: number, answeredBelow: number): RequestMark {
  const numbered: Numbered = { series: hash(series), number, answeredBelow };
  return { id: hash(`${series}:${number}`), fingerprint: hash(`what ${series}:${number} does`), numbered };
}

class Key {
  value: RegisterValue = NO_VALUE;
  now = START;
  #attempts = 0;

  get bytes(): Uint8Array {
    return encodeValue(this.value, digest.crc32);
  }

  /** A put of the request; no attempt of another one is known by its id. */
  put(request: RequestMark | null): ChangeResult {
    this.now += 1;
    const id = hash(`attempt ${++this.#attempts}`);
    const content = { value: utf8('v'), contentType: '', contentEncoding: '', meta: [] };
    const changed = changeValue(
      this.value,
      { kind: 'write', content, conditions: null, mark: request, expiresAt: 0, returnBody: false },
      {
        ...{ id, retried: false, now: this.now, leastToken: 1, isAnswered: () => true },
        dot: { node: nodeIndex(1), tenure: 7, counter: hybridTimeAt(this.now) },
      },
    );
    this.value = changed.value;
    return changed.result;
  }

  /** When it was made, by its dot. */
  made(request: RequestMark): number | string {
    const result = this.put(request);
    return result.kind === 'written' ? result.written.counter : result.kind;
  }
}

describe('numbered requests', () => {
  it('golden: of ten thousand writes of one client the last is remembered', () => {
    const key = new Key();
    for (let number = 1; number <= 10_000; number++) expect(key.put(mark('s', number, number)).kind).toBe('written');
    expect([key.value.keyed.length, key.bytes.length]).toEqual([1, 160]);
  });

  it('are remembered while their client may send them again', () => {
    const key = new Key();
    const first = key.made(mark('s', 1, 1));
    for (let number = 2; number <= 20; number++) key.put(mark('s', number, 1));
    expect(key.value.keyed).toHaveLength(20);
    expect(key.made(mark('s', 1, 1))).toBe(first);
    key.put(mark('s', 21, 15));
    expect(key.value.keyed.map(({ numbered }) => numbered!.number)).toEqual([15, 16, 17, 18, 19, 20, 21]);
  });

  it('that are over are not made again, however late a copy comes and whoever has written meanwhile', () => {
    const key = new Key();
    for (const number of [1, 2, 3]) key.put(mark('s', number, number));
    for (let number = 1; number < 100; number++) key.put(mark('another', number, number));
    for (const number of [1, 2]) expect(key.put(mark('s', number, number))).toEqual({ kind: 'given-up' });
    // Nor does it say how far the client is: it was so then.
    key.put(mark('s', 4, 3));
    expect(key.put(mark('s', 2, 1))).toEqual({ kind: 'given-up' });
    key.now += REQUEST_WINDOW_MS - 10;
    expect(key.put(mark('s', 2, 2))).toEqual({ kind: 'given-up' });
  });

  it('of one client say nothing of another, nor of those that have other keys', () => {
    const key = new Key();
    const plain = { id: hash('order-17'), fingerprint: hash('what it does') };
    const [first, other] = [key.made(plain), key.made(mark('other', 1, 1))];
    for (let number = 5; number < 2000; number++) key.put(mark('s', number, number));
    expect([key.made(plain), key.made(mark('other', 1, 1))]).toEqual([first, other]);
  });

  it('that say nothing of others are kept for the whole window, and refused where they are over all the same', () => {
    const key = new Key();
    const first = key.made(mark('s', 1, 0));
    key.put(mark('s', 2, 2));
    expect(key.made(mark('s', 1, 0))).toBe(first);
    key.put(mark('s', 3, 3));
    expect(key.put(mark('s', 2, 0))).toEqual({ kind: 'given-up' });
    expect(key.value.keyed.map(({ numbered }) => numbered?.number)).toEqual([undefined, 3]);
  });

  it('fill a register when their client waits for the first of them, and make room when it does no more', () => {
    const key = new Key();
    for (let number = 1; number <= KEYED_MAX; number++) key.put(mark('s', number, 1));
    expect(key.put(mark('s', KEYED_MAX + 1, 1))).toEqual({ kind: 'too-many-keys' });
    expect(key.put(mark('s', KEYED_MAX + 1, KEYED_MAX + 1)).kind).toBe('written');
    expect(key.value.keyed).toHaveLength(1);
  });

  it('with other content are another request', () => {
    const key = new Key();
    key.put(mark('s', 1, 1));
    expect(key.put({ ...mark('s', 1, 1), fingerprint: hash('something else') })).toEqual({
      kind: 'idempotency-mismatch',
    });
  });

  it('are made once each, in whatever order they and copies of them arrive', () => {
    const steps = fc.array(
      fc.record({
        client: fc.nat(1),
        // What the client begins, what of all that was ever sent arrives, what is over.
        does: fc.constantFrom('begins', 'arrives', 'arrives', 'arrives', 'ends'),
        pick: fc.nat(),
        pause: fc.nat(19).map((chance) => (chance === 19 ? 200_000 : chance)),
      }),
      { minLength: 60, maxLength: 120, size: 'max' },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const key = new Key();
        const underWay: number[][] = [[], []];
        const sent: { readonly request: RequestMark; readonly client: number; madeAt: number }[] = [];
        let last = 0;
        for (const { client, does, pick, pause } of all) {
          key.now += pause;
          const open = underWay[client]!;
          if (does === 'begins') {
            open.push(++last);
            sent.push({ request: mark(`client ${client}`, last, open[0]!), client, madeAt: 0 });
          } else if (does === 'ends') open.splice(pick % Math.max(1, open.length), 1);
          else if (sent.length > 0) {
            const arrived = sent[pick % sent.length]!;
            const { request, madeAt } = arrived;
            const answer = key.made(request);
            const isAwaited = underWay[arrived.client]!.includes(request.numbered!.number);
            if (typeof answer === 'string') expect([answer, isAwaited]).toEqual(['given-up', false]);
            // What is so old is a new request, as always.
            else if (madeAt > 0 && key.now < madeAt + REQUEST_WINDOW_MS) expect(answer).toBe(hybridTimeAt(madeAt));
            else arrived.madeAt = key.now;
          }
          key.value = decodeValue(key.bytes, digest.crc32);
          const numbers = key.value.keyed.map(({ numbered }) => numbered!);
          for (const { series, number } of numbers) {
            const says = numbers.filter((other) => toHex(other.series) === toHex(series));
            expect(number).toBeGreaterThanOrEqual(Math.max(...says.map(({ answeredBelow }) => answeredBelow)));
          }
        }
      }),
    );
  });
});

describe('the bytes of a numbered request', () => {
  it('are at the end of what an earlier release reads', () => {
    const key = new Key();
    key.put(mark('s', 7, 5));
    const [row] = key.value.keyed;
    const fields = decode(key.bytes) as readonly (readonly unknown[][])[];
    const [keyed] = fields[6]!;
    expect(keyed!.slice(6)).toEqual([hash('s'), 7, 5]);
    const { numbered: _, ...plain } = row!;
    expect(retryFromWire(keyed)).toEqual(plain);
  });

  it('go from node to node with its mark', () => {
    for (const sent of [mark('s', 7, 5), mark('s', 7, 0), { id: hash('a'), fingerprint: hash('b') }, null])
      expect(markFromWire(markToWire(sent))).toEqual(sent);
    expect((markToWire(mark('s', 7, 5)) as unknown[]).length).toBe(5);
  });
});
