import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBucket, decodeKey, decodeKey64, MAX_KEY_BYTES } from '#api/key-path.ts';
import { Problem } from '#api/problem.ts';
import { parseTarget } from '#api/raw-path.ts';
import { toBase64url } from '#kernel/base64.ts';
import { fromUtf8, utf8 } from '#kernel/bytes.ts';

function detailOf(result: unknown): string {
  if (!(result instanceof Problem)) throw new Error(`accepted as ${String(result)}`);
  return result.detail;
}

describe('bucket names', () => {
  test.each(['b', 'A-b_c.9', '...', '.a', 'x'.repeat(128)])('%s', (name) => expect(decodeBucket(name)).toBe(name));

  test('an escape of an allowed character means that character', () => {
    expect(decodeBucket('%62%2Ec')).toBe('b.c');
  });

  test.each(['', 'x'.repeat(129), 'a b', 'a%2Fb', 'a:b', 'ü', '%C3%BC', '%2e', 'a%00', 'a+b', '~', '%61'.repeat(129)])(
    'not %j',
    (segment) => {
      expect(detailOf(decodeBucket(segment))).toMatch(/^bucket: .* must be 1-128 characters of A-Z a-z 0-9 \. _ -/);
    },
  );
});

describe('keys in a path', () => {
  test('escapes are bytes, and %2F is a part of the key', () => {
    expect(fromUtf8(decodeKey('a%2Fb%20%E2%82%AC+c') as Uint8Array)).toBe('a/b €+c');
  });

  test('a key of 1,024 bytes is the longest, however it is written', () => {
    expect((decodeKey('k'.repeat(MAX_KEY_BYTES)) as Uint8Array).length).toBe(1024);
    expect((decodeKey('%6b'.repeat(MAX_KEY_BYTES)) as Uint8Array).length).toBe(1024);
    expect(detailOf(decodeKey('k'.repeat(1025)))).toBe('key: has 1025 bytes; at most 1024 are allowed');
    expect(detailOf(decodeKey('%6b'.repeat(1025)))).toBe('key: has 1025 bytes; at most 1024 are allowed');
    expect(detailOf(decodeKey64(toBase64url(utf8('k'.repeat(1025)))))).toContain('1025 bytes');
  });

  test.each(['%FF', '%C3', '%C0%AF', '%ED%A0%80', '%F4%90%80%80', 'a%80'])('%s is not UTF-8', (segment) => {
    expect(detailOf(decodeKey(segment))).toBe('key: is not UTF-8');
  });

  test('an empty key is none', () => {
    expect(detailOf(decodeKey(''))).toBe('key: must not be empty');
    expect(detailOf(decodeKey64(''))).toBe('key: must not be empty');
  });
});

describe('keys as base64url', () => {
  test('what a path cannot say', () => {
    for (const key of ['..', '.', '\u0000', 'a\r\nb', '/', '\u007f']) {
      expect(fromUtf8(decodeKey64(toBase64url(utf8(key))) as Uint8Array)).toBe(key);
    }
  });

  test.each(['YQ==', 'YQ=', 'Y', 'YR', 'a+b/', 'YQ%3D', '*'])('%s is not canonical', (segment) => {
    expect(detailOf(decodeKey64(segment))).toContain('not canonical base64url without padding');
  });

  test('bytes that are not UTF-8', () => {
    expect(detailOf(decodeKey64(toBase64url(new Uint8Array([255]))))).toBe('key: is not UTF-8');
  });
});

test('any key goes through a path and back, through kv64 always', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), (key) => {
      expect(fromUtf8(decodeKey64(toBase64url(utf8(key))) as Uint8Array)).toBe(key);
      const target = parseTarget(`/v1/kv/b/${encodeURIComponent(key)}`);
      const needsKv64 = key === '.' || key === '..' || [...utf8(key)].some((byte) => byte < 32 || byte === 127);
      expect(target instanceof Problem).toBe(needsKv64);
      if (target instanceof Problem) return;
      expect(fromUtf8(decodeKey(target.segments[3]!) as Uint8Array)).toBe(key);
    }),
  );
});
