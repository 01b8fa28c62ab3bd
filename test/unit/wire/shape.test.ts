import { describe, expect, test } from 'vitest';
import { MalformedMessage } from '#wire/message.ts';
import { asArray, asBoolean, asBytes, asInteger, asListOf, asNumber, asString } from '#wire/shape.ts';

describe('shape', () => {
  test('accepts what fits, and longer arrays', () => {
    expect(asArray([1, 2, 3], 2, 'row')).toEqual([1, 2, 3]);
    expect(asListOf([1, 2], 'list', 2, asInteger)).toEqual([1, 2]);
    expect(asInteger(2 ** 53 - 1, 'count')).toBe(2 ** 53 - 1);
    expect(asInteger(-3, 'offset', -3, -1)).toBe(-3);
    expect(asNumber(0.5, 'ratio')).toBe(0.5);
    expect(asString('four', 'word', 4)).toBe('four');
    expect(asBytes(new Uint8Array(2), 'key', 2)).toEqual(new Uint8Array(2));
    expect(asBoolean(false, 'flag')).toBe(false);
  });

  test.each<[() => unknown, string]>([
    [() => asArray('no', 0, 'row'), 'row: expected an array, got a string'],
    [() => asArray([1], 2, 'row'), 'row: expected 2 elements or more, got 1'],
    [() => asListOf([1, 2], 'list', 1, asInteger), 'list: expected 1 elements or fewer, got 2'],
    [() => asListOf([null], 'list', 1, asInteger), 'list: expected a whole number, got nil'],
    [() => asInteger(0.5, 'count'), 'count: expected a whole number, got 0.5'],
    [() => asInteger(2 ** 53, 'count'), 'count: expected a whole number, got 9007199254740992'],
    [() => asInteger(undefined, 'count'), 'count: expected a whole number, got a undefined'],
    [() => asInteger(-1, 'count'), 'count: expected 0 to 9007199254740991, got -1'],
    [() => asInteger(8, 'count', 1, 7), 'count: expected 1 to 7, got 8'],
    [() => asNumber(Number.NaN, 'ratio'), 'ratio: expected a number, got NaN'],
    [() => asString(new Uint8Array(1), 'word', 4), 'word: expected a string, got bytes'],
    [() => asString('fives', 'word', 4), 'word: expected 4 characters or fewer, got 5'],
    [() => asBytes([1], 'key', 2), 'key: expected bytes, got an array'],
    [() => asBytes(new Uint8Array(3), 'key', 2), 'key: expected 2 bytes or fewer, got 3'],
    [() => asBoolean(1, 'flag'), 'flag: expected true or false, got a number'],
  ])('refuses what does not fit and says what (%#)', (check, message) => {
    expect(check).toThrow(new MalformedMessage(message));
  });
});
