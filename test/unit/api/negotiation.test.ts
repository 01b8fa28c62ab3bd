import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { prefersJson, prefersLines } from '#api/accept.ts';
import { parseConditions } from '#api/conditions.ts';
import { judge, type Conditions } from '#coordinator/preconditions.ts';
import { httpDate, isoDate } from '#api/http-date.ts';
import { Problem } from '#api/problem.ts';
import type { Incoming } from '#api/exchange.ts';

describe('siblings as JSON or multipart', () => {
  test.each([
    [undefined, false],
    ['*/*', false],
    ['text/html', false],
    ['multipart/mixed', false],
    ['application/json', true],
    ['Application/JSON', true],
    ['application/json; charset=utf-8', true],
    ['application/json, text/plain, */*', true],
    ['application/*', true],
    ['application/json;q=0', false],
    ['application/json;q=0.5, multipart/mixed', false],
    ['application/json, multipart/mixed', false],
    ['application/json;q=0.9, multipart/*;q=0.8', true],
    ['*/*;q=0.1, application/json;q=0.05', false],
    ['application/jsonx', false],
  ])('%s', (accept, json) => expect(prefersJson(accept)).toBe(json));
});

describe('keys as JSON or line by line', () => {
  test.each([
    [undefined, false],
    ['*/*', false],
    ['application/*', false],
    ['application/json', false],
    ['application/x-ndjson', true],
    ['Application/X-NDJSON; charset=utf-8', true],
    ['application/x-ndjson, */*', true],
    ['application/x-ndjson, application/json', true],
    ['application/x-ndjson;q=0.5, application/json', false],
    ['application/x-ndjson;q=0', false],
    ['text/application/x-ndjson', false],
  ])('%s', (accept, lines) => expect(prefersLines(accept)).toBe(lines));
});

function conditionsOf(headers: Readonly<Record<string, string>>): Conditions | undefined | Problem {
  return parseConditions({ header: (name: string) => headers[name] } as Incoming);
}

function verdict(headers: Readonly<Record<string, string>>, etag: string | undefined): string {
  const conditions = conditionsOf(headers);
  if (conditions === undefined || conditions instanceof Problem) throw new Error('no conditions');
  return judge(conditions, etag);
}

describe('conditions', () => {
  test('none', () => expect(conditionsOf({})).toBeUndefined());

  test.each([
    ['"a"', 'a', 'proceed'],
    ['"b", "a"', 'a', 'proceed'],
    ['"b"', 'a', 'failed'],
    ['W/"a"', 'a', 'failed'],
    ['*', 'a', 'proceed'],
    ['*', undefined, 'failed'],
    ['"a"', undefined, 'failed'],
    ['"b,c", "a"', 'a', 'proceed'],
    ['"a,b"', 'a', 'failed'],
    [', "b" ,, ,"a",', 'a', 'proceed'],
  ])('If-Match: %s against %s', (header, etag, expected) => {
    expect(verdict({ 'if-match': header }, etag)).toBe(expected);
  });

  test.each([
    ['"a"', 'a', 'not-modified'],
    ['W/"a"', 'a', 'not-modified'],
    ['"b"', 'a', 'proceed'],
    ['*', 'a', 'not-modified'],
    ['*', undefined, 'proceed'],
  ])('If-None-Match: %s against %s', (header, etag, expected) => {
    expect(verdict({ 'if-none-match': header }, etag)).toBe(expected);
  });

  test('If-Match is judged first', () => {
    expect(verdict({ 'if-match': '"b"', 'if-none-match': '"a"' }, 'a')).toBe('failed');
  });

  test.each(['a', '"a', 'w/"a"', '"a" "b"', '"a""b"', '', ' ', ',', '"a", b', '*, "a"'])('malformed: %j', (header) => {
    for (const [name, field] of [
      ['if-match', 'If-Match'],
      ['if-none-match', 'If-None-Match'],
    ] as const) {
      expect(conditionsOf({ [name]: header })).toMatchObject({ code: 'invalid-request', extras: { field } });
    }
  });
});

test('a condition on a date is none beside If-Match, and cannot be kept without', () => {
  const dated = { 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' };
  expect(conditionsOf(dated)).toMatchObject({ code: 'not-implemented', extras: { field: 'If-Unmodified-Since' } });
  expect(conditionsOf({ ...dated, 'if-none-match': '"a"' })).toMatchObject({ code: 'not-implemented' });
  expect(verdict({ ...dated, 'if-match': '"a"' }, 'a')).toBe('proceed');
});

test('dates', () => {
  expect(httpDate(784_111_777_999)).toBe('Sun, 06 Nov 1994 08:49:37 GMT');
  expect(httpDate(784_111_778_000)).toBe('Sun, 06 Nov 1994 08:49:38 GMT');
  expect(isoDate(784_111_777_123)).toBe('1994-11-06T08:49:37.123Z');
});

test('dates of whatever day, asked for in whatever order', () => {
  const day = 86_400_000;
  const near = fc.integer({ min: -3, max: 3 }).map((seconds) => 20_000 * day + seconds * 1000);
  const any = fc.integer({ min: 0, max: 2 ** 48 });
  fc.assert(
    fc.property(fc.array(fc.oneof(near, any), { maxLength: 20 }), (times) => {
      for (const time of times) expect(httpDate(time)).toBe(new Date(time).toUTCString());
    }),
  );
});
