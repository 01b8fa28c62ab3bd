import fc from 'fast-check';
import { expect, test } from 'vitest';
import { passVector, readVector } from '#causality/vector-codec.ts';
import { ByteReader } from '#kernel/binary.ts';

/** Where the reader stands afterwards. */
function outcome(read: (reader: ByteReader) => unknown, bytes: Uint8Array): number | 'refused' {
  const reader = new ByteReader(bytes);
  try {
    read(reader);
    return reader.offset;
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return 'refused';
  }
}

test('a vector is passed where it is read, and refused where it is refused', () => {
  const few = fc.integer({ min: 0, max: 3 });
  const bytes = fc.oneof(
    fc.array(few, { maxLength: 12 }).map((numbers) => Uint8Array.from(numbers)),
    fc.uint8Array({ maxLength: 24 }),
  );
  fc.assert(
    fc.property(bytes, (given) => {
      expect(outcome(passVector, given)).toBe(outcome(readVector, given));
    }),
  );
  const broken = [
    [2, 1, 1, 5, 1, 1, 6],
    [2, 1, 1, 5, 0, 1, 6],
    [1, 1, 1, 0],
  ];
  for (const numbers of broken) expect(outcome(passVector, Uint8Array.from(numbers))).toBe('refused');
});
