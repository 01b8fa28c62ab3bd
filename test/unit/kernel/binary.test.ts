import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteReader, ByteWriter, MalformedBytes, TruncatedBytes, varintBytes } from '#kernel/binary.ts';
import { fromHex, toHex } from '#kernel/bytes.ts';
import { present } from '#kernel/assert.ts';

function reader(hex: string): ByteReader {
  return new ByteReader(present(fromHex(hex), hex));
}

type Item =
  | { readonly kind: 'u8' | 'u32' | 'varint'; readonly value: number }
  | { readonly kind: 'bytes'; readonly value: Uint8Array }
  | { readonly kind: 'text'; readonly value: string };

const item: fc.Arbitrary<Item> = fc.oneof(
  fc.record({ kind: fc.constant('u8' as const), value: fc.nat(255) }),
  fc.record({ kind: fc.constant('u32' as const), value: fc.nat(0xffff_ffff) }),
  fc.record({ kind: fc.constant('varint' as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('bytes' as const), value: fc.uint8Array({ maxLength: 300 }) }),
  fc.record({ kind: fc.constant('text' as const), value: fc.string({ unit: 'grapheme', maxLength: 60 }) }),
);

function write(writer: ByteWriter, { kind, value }: Item): void {
  if (kind === 'bytes') writer.bytes(value);
  else if (kind === 'text') writer.text(value);
  else writer[kind](value);
}

function read(reader: ByteReader, kind: Item['kind']): unknown {
  return reader[kind]();
}

test('whatever was written reads back, from any capacity', () => {
  fc.assert(
    fc.property(fc.array(item), fc.nat(100), (items, capacity) => {
      const writer = new ByteWriter(capacity);
      for (const one of items) write(writer, one);
      const length = writer.length;
      const bytes = writer.finish();
      expect(bytes.length).toBe(length);
      const reader = new ByteReader(bytes);
      for (const { kind, value } of items) expect(read(reader, kind)).toEqual(value);
      reader.end();
    }),
  );
});

test('a cut anywhere is noticed', () => {
  fc.assert(
    fc.property(fc.array(item, { minLength: 1, maxLength: 4 }), fc.nat(), (items, at) => {
      const writer = new ByteWriter();
      for (const one of items) write(writer, one);
      const bytes = writer.finish();
      const reader = new ByteReader(bytes.subarray(0, at % bytes.length));
      expect(() => items.map(({ kind }) => read(reader, kind))).toThrow(TruncatedBytes);
    }),
  );
});

test('golden forms', () => {
  const writer = new ByteWriter(0);
  writer.u8(0xab);
  writer.u32(0xdead_beef);
  for (const value of [0, 127, 128, 300, 2 ** 28 - 1, 2 ** 28, 2 ** 32, Number.MAX_SAFE_INTEGER]) writer.varint(value);
  writer.bytes(Uint8Array.of(1, 2));
  writer.text('aé');
  writer.raw(Uint8Array.of(9));
  expect(toHex(writer.finish())).toBe(
    ['ab', 'deadbeef', '00', '7f', '8001', 'ac02', 'ffffff7f', '8080808001', '8080808010', 'ffffffffffffff0f']
      .concat(['020102', '0361c3a9', '09'])
      .join(''),
  );
});

test('the size of a varint is known without writing it', () => {
  for (let bit = 0; bit <= 53; bit++) {
    for (const value of [2 ** bit - 1, Math.min(2 ** bit, Number.MAX_SAFE_INTEGER)]) {
      const writer = new ByteWriter();
      writer.varint(value);
      expect(varintBytes(value), String(value)).toBe(writer.length);
    }
  }
});

test('only numbers that have a form are written', () => {
  for (const value of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => new ByteWriter().varint(value), String(value)).toThrow(RangeError);
  }
});

test('a text without a UTF-8 form is refused', () => {
  expect(() => new ByteWriter().text('\ud800')).toThrow(RangeError);
});

test('a number has one form only', () => {
  for (const needless of ['8000', 'ff00', '80808080808000']) {
    expect(() => reader(needless).varint(), needless).toThrow(MalformedBytes);
  }
  for (const large of ['8080808080808010', 'ffffffffffffff7f', '808080808080808001']) {
    expect(() => reader(large).varint(), large).toThrow(MalformedBytes);
  }
});

test('a length beyond the end is refused before anything is allocated', () => {
  expect(() => reader('ffffffffffffff0f00').bytes()).toThrow(TruncatedBytes);
  expect(() => reader('ffffffffffffff0f00').text()).toThrow(TruncatedBytes);
});

test('text that is not UTF-8 is refused', () => {
  expect(() => reader('02c3c3').text()).toThrow(MalformedBytes);
});

test('bytes left over are refused', () => {
  const one = reader('0001');
  one.u8();
  expect(() => one.end()).toThrow(/1 bytes too many, from byte 1 on/);
  one.u8();
  one.end();
});
