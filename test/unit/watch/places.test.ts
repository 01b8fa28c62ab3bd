import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex } from '#kernel/bytes.ts';
import { nodeIndex } from '#kernel/identity.ts';
import { decodePlaces, encodePlaces, type Cursor } from '#watch/places.ts';

const storages = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(toHex);
const cursors: fc.Arbitrary<Cursor> = fc.record({
  incarnation: fc.nat(),
  since: fc.maxSafeNat(),
  places: fc
    .uniqueArray(fc.tuple(fc.nat(65_535).map(nodeIndex), fc.record({ storage: storages, group: fc.maxSafeNat() })), {
      selector: ([node]) => node,
      maxLength: 8,
    })
    .map((entries) => new Map(entries)),
});

test('come out as they went in', () => {
  fc.assert(
    fc.property(cursors, (cursor) => {
      expect(decodePlaces(encodePlaces(cursor))).toEqual(cursor);
    }),
  );
});

test('golden bytes', () => {
  const places = new Map([[nodeIndex(2), { storage: '000102030405060708090a0b0c0d0e0f', group: 300 }]]);
  expect(toHex(encodePlaces({ incarnation: 1, since: 1000, places }))).toBe(
    '0101e8070102000102030405060708090a0b0c0d0e0fac02',
  );
});

test('of other bytes nothing is made up', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const cursor = decodePlaces(bytes);
      if (cursor !== undefined) expect(encodePlaces(cursor).length).toBeLessThanOrEqual(bytes.length);
    }),
  );
});
