import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accessOf, UNGUARDED } from '#access/access.ts';
import { covers, coversAll, formatScope, parseScope, RIGHTS, type Scope } from '#access/scope.ts';

const scope = (text: string): Scope => {
  const parsed = parseScope(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

test.each([
  ['read', 'read:*'],
  ['read:*', 'read:*'],
  ['write:orders', 'write:orders'],
  ['admin:team-a.*', 'admin:team-a.*'],
  [`read:${'b'.repeat(128)}`, `read:${'b'.repeat(128)}`],
])('%s is a scope', (text, canonical) => {
  expect(formatScope(scope(text))).toBe(canonical);
});

test.each([
  ...['', ':', 'own', 'Read', 'read ', ' read', 'read:', 'read:a b', 'read:a*b', 'read:**', 'read:*a', 'read:a/b'],
  ...['read:ä', 'read:a:b', 'read,write', `read:${'b'.repeat(129)}`, 'read:a\n', 'constructor'],
])('%j is no scope', (text) => {
  expect(parseScope(text)).toBeUndefined();
});

test('what a scope covers, against a plain reading of its text', () => {
  const word = fc.stringMatching(/^[ab]{0,3}$/);
  const buckets = fc.oneof(
    word.filter((name) => name !== ''),
    word.map((stem) => `${stem}*`),
  );
  const right = fc.constantFrom(...RIGHTS);
  fc.assert(
    fc.property(right, buckets, right, word, (given, pattern, wanted, bucket) => {
      const plain = new RegExp(`^${pattern.replace('*', '.*')}$`).test(bucket);
      expect(covers(scope(`${given}:${pattern}`), wanted, bucket)).toBe(given === wanted && plain);
      expect(coversAll(scope(`${given}:${pattern}`), wanted)).toBe(given === wanted && pattern === '*');
    }),
  );
});

test('a right gives no other, and only all buckets are the cluster', () => {
  const access = accessOf('app', [scope('read:a'), scope('write:b*'), scope('admin')]);
  expect(access.token).toBe('app');
  expect([access.permits('read', 'a'), access.permits('write', 'a'), access.permits('read', 'b')]).toEqual([
    true,
    false,
    false,
  ]);
  expect([access.permits('write', 'b'), access.permits('write', 'bc'), access.permits('write', 'cb')]).toEqual([
    true,
    true,
    false,
  ]);
  expect([access.permitsAll('admin'), access.permitsAll('write'), access.permitsAll('read')]).toEqual([
    true,
    false,
    false,
  ]);
  const narrow = accessOf('app', [scope('read:a')]);
  expect([narrow.concerns('a'), narrow.concerns('b')]).toEqual([true, false]);
  expect(accessOf('none', []).concerns('a')).toBe(false);
  expect(UNGUARDED.permitsAll('admin')).toBe(true);
});
