import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inOrder, Width } from '../../../src/cli/in-order.ts';
import { lineOf, parseLine, sameValues, type StoredKey } from '../../../src/cli/key-lines.ts';
import { linesOf, type Line } from '../../../src/cli/read-lines.ts';

const value = fc.record(
  {
    bytes: fc.oneof(
      fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
      fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text, 'utf8')),
      fc.constant(Buffer.from('\uFEFFwith a mark', 'utf8')),
    ),
    contentType: fc.constantFrom('text/plain', 'image/png', ''),
    contentEncoding: fc.constantFrom('gzip', 'br'),
    meta: fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), fc.stringMatching(/^[ -~]{0,6}$/), {
      minKeys: 1,
      noNullPrototype: true,
    }),
    expires: fc.integer({ min: 1, max: 4e12 }).map((at) => new Date(at)),
  },
  { requiredKeys: ['bytes', 'contentType'] },
);
const stored: fc.Arbitrary<StoredKey> = fc.record(
  {
    key: fc.string({ minLength: 1, unit: 'grapheme' }),
    values: fc.array(value, { minLength: 1, maxLength: 3 }),
    context: fc.string(),
  },
  { requiredKeys: ['key', 'values'] },
);

async function all<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

test('what is no UTF-8 is refused, and not stored as something else', async () => {
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('{"key":"a","value":"x"}\n{"key":"b","value":"', 'utf8');
    yield Buffer.from([0xff, 0x22, 0x7d, 0x0a]);
  };
  await expect(all(linesOf(source(), { keys: 0, bytes: 0 }))).rejects.toThrow('line 2: is not UTF-8');
});

describe('a key as a line', () => {
  test('comes back as it was, and has one form', () => {
    fc.assert(
      fc.property(stored, (one) => {
        const line = lineOf(one);
        expect(line.indexOf('\n')).toBe(line.length - 1);
        const read = parseLine(line);
        expect([read.key, read.context]).toEqual([one.key, one.context]);
        expect(sameValues(read.values, one.values)).toBe(true);
        expect(lineOf(read)).toBe(line);
        expect(lineOf({ ...one, values: [...one.values].reverse() })).toBe(line);
      }),
    );
  });

  test('values that differ in anything are not the same; ends may differ by what a second is', () => {
    const one = { bytes: Buffer.from('x'), contentType: 'a/b', expires: new Date(10_000) };
    expect(sameValues([one], [{ ...one, expires: new Date(11_500) }])).toBe(true);
    for (const other of [
      { bytes: Buffer.from('y') },
      { contentType: 'a/c' },
      { contentEncoding: 'gzip' },
      { meta: { a: 'b' } },
      { expires: new Date(13_000) },
    ])
      expect(sameValues([one], [{ ...one, ...other }])).toBe(false);
    expect(sameValues([one], [one, one])).toBe(false);
    expect(sameValues([one], [{ bytes: one.bytes, contentType: 'a/b' }])).toBe(false);
  });

  test('those that people write may say less', () => {
    expect(parseLine('{"key":"a","value":{"b":1}}')).toEqual({
      key: 'a',
      values: [{ bytes: Buffer.from('{"b":1}'), contentType: 'application/json' }],
    });
  });

  test.each([
    ['[]', 'must be a JSON object'],
    ['{', 'is not JSON'],
    ['{"value":"x"}', 'key: must be a text'],
    ['{"key":"a"}', 'exactly one of them'],
    ['{"key":"a","value":"x","value64":"eA=="}', 'exactly one of them'],
    ['{"key":"a","value64":"eA"}', 'must be base64 with padding'],
    ['{"key":"a","value":"x","ttl":5}', 'ttl: unknown'],
    ['{"key":"a","type":"counter","value":5}', 'type: the bucket holds values, and the line says counter'],
    ['{"key":"a","value":"x","expires":"soon"}', 'expires: must be a time'],
    ['{"key":"a","siblings":[]}', 'siblings: must be a list'],
    ['{"key":"a","siblings":[{"value":"x"}],"value":"y"}', 'value: stands beside siblings'],
  ])('%s is refused', (text, why) => {
    expect(() => parseLine(text)).toThrow(why);
  });
});

test('lines come out the same wherever the bytes were cut, each with where it ends', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'grapheme' })),
      fc.integer({ min: 1, max: 7 }),
      async (texts, length) => {
        const clean = texts.map((text) => text.replaceAll('\n', ' '));
        const whole = Buffer.from(clean.join('\n'), 'utf8');
        const chunks = async function* (): AsyncGenerator<Uint8Array> {
          for (let at = 0; at < whole.length; at += length) yield whole.subarray(at, at + length);
        };
        const lines: readonly Line[] = await all(linesOf(chunks(), { keys: 0, bytes: 0 }));
        expect(lines.map(({ text }) => text)).toEqual(clean.filter((text) => text.trim() !== ''));
        for (const { text, end } of lines) {
          const bytes = Buffer.byteLength(text);
          expect(whole.subarray(0, end).toString('utf8').trimEnd().endsWith(text.trimEnd())).toBe(true);
          expect(end).toBeGreaterThanOrEqual(bytes);
        }
      },
    ),
  );
});

describe('work in order', () => {
  test('comes out in order, and no more is under way than there is room for', async () => {
    let underWay = 0;
    let most = 0;
    const width = new Width(8);
    const results = await all(
      inOrder(
        Array.from({ length: 50 }, (_, i) => i),
        width,
        async (i) => {
          most = Math.max(most, ++underWay);
          for (let turn = 0; turn < (i * 7) % 11; turn++) await Promise.resolve();
          underWay -= 1;
          return i;
        },
      ),
    );
    expect(results).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(most).toBeLessThanOrEqual(8);
  });

  test('the first failure ends it', async () => {
    const begun: number[] = [];
    const work = all(
      inOrder([1, 2, 3, 4, 5, 6], new Width(2), async (i) => {
        begun.push(i);
        if (i === 3) throw new Error('three');
        return i;
      }),
    );
    await expect(work).rejects.toThrow('three');
    expect(begun.length).toBeLessThan(6);
  });

  test('large pieces make room for few', () => {
    const width = new Width(256);
    for (let i = 0; i < 300; i++) width.saw(1000);
    expect(width.now).toBe(256);
    width.saw(8 * 1024 * 1024);
    expect(width.now).toBe(8);
    for (let i = 0; i < 1000; i++) width.saw(1000);
    expect(width.now).toBe(256);
  });
});
