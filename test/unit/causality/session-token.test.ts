import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeSession,
  encodeSession,
  joinSessions,
  MAX_SESSION_CHARACTERS,
  mayHaveForgotten,
  NEW_SESSION,
  seenOf,
  sessionKey,
  withSeen,
  type Session,
} from '#causality/session-token.ts';
import { dominates, joinVectors } from '#causality/vector.ts';
import { encodeContext } from '#causality/context-token.ts';
import { utf8 } from '#kernel/bytes.ts';
import { hash64ToBytes, sipHash64, sipKey } from '#kernel/siphash.ts';
import { dot, vectors } from './examples.ts';

const SECRET = sipKey(new Uint8Array(16).fill(7));
const mac = (bytes: Uint8Array): Uint8Array => hash64ToBytes(sipHash64(SECRET, bytes));
const keys = fc.nat(9).map((i) => sessionKey(utf8(`key ${i}`)));
const sessions = fc
  .array(fc.tuple(keys, vectors), { maxLength: 8 })
  .map((steps) => steps.reduce((session, [key, vector]) => withSeen(session, key, vector), NEW_SESSION));

function read(text: string): Session {
  const decoded = decodeSession(text, mac);
  if (decoded.kind === 'invalid') throw new Error(decoded.reason);
  return decoded.session;
}

test('a session comes back as it was, in its order', () => {
  fc.assert(
    fc.property(sessions, (session) => {
      const again = read(encodeSession(session, mac));
      expect(again.seen).toEqual(session.seen);
      expect(again.forgot).toBe(false);
    }),
  );
});

test('it only grows: what is seen joins what was seen, and two tokens together know what either does', () => {
  fc.assert(
    fc.property(sessions, sessions, keys, vectors, (a, b, key, vector) => {
      expect(seenOf(withSeen(a, key, vector), key)).toEqual(joinVectors(seenOf(a, key), vector));
      const joined = joinSessions(a, b);
      for (const one of [...a.seen, ...b.seen].map((entry) => entry.subarray(0, 8))) {
        for (const session of [a, b]) expect(dominates(seenOf(joined, one), seenOf(session, one))).toBe(true);
      }
    }),
  );
});

test('of two tokens that know the same, the keys that the second has seen last stay longest', () => {
  const [one, other] = ['one', 'other'].map((key) => sessionKey(utf8(key)));
  const seeing = (...order: readonly Uint8Array[]): Session =>
    order.reduce((session, key) => withSeen(session, key, [dot(1, 5)]), NEW_SESSION);
  expect(joinSessions(seeing(one!, other!), seeing(other!, one!))).toEqual(seeing(other!, one!));
});

test('it has at most 4096 characters: the keys seen longest ago leave, which is remembered', () => {
  let session = NEW_SESSION;
  for (let i = 0; i < 200; i++) {
    const vector = [dot(1, 4e15 + i, 4e15), dot(2, 4e15, 4e15), dot(3, 4e15, 4e15)];
    session = read(encodeSession(withSeen(session, sessionKey(utf8(`k${i}`)), vector), mac));
    expect(encodeSession(session, mac).length).toBeLessThanOrEqual(MAX_SESSION_CHARACTERS);
  }
  expect(session.forgot).toBe(true);
  expect(session.seen.length).toBeGreaterThan(45);
  const has = (i: number): boolean => seenOf(session, sessionKey(utf8(`k${i}`))).length > 0;
  expect([has(0), has(199 - session.seen.length), has(200 - session.seen.length), has(199)]).toEqual([
    false,
    false,
    true,
    true,
  ]);
  expect(mayHaveForgotten(session, sessionKey(utf8('k0')))).toBe(true);
  expect(mayHaveForgotten(session, sessionKey(utf8('k199')))).toBe(false);
  expect(joinSessions(NEW_SESSION, session).forgot).toBe(true);
});

test('what is too large for any token is forgotten, and nothing else', () => {
  const large = Array.from({ length: 400 }, (_, i) => dot(i, 4e15, 4e15));
  const session = withSeen(withSeen(NEW_SESSION, sessionKey(utf8('large')), large), sessionKey(utf8('k')), [dot(1, 5)]);
  const again = read(encodeSession(session, mac));
  expect(again.seen.length).toBe(1);
  expect(seenOf(again, sessionKey(utf8('k')))).toEqual([dot(1, 5)]);
  expect(again.forgot).toBe(true);
});

test('a token that was changed, or signed by others or for another purpose, is refused', () => {
  const token = encodeSession(withSeen(NEW_SESSION, sessionKey(utf8('k')), [dot(1, 5)]), mac);
  const reasonOf = (text: string, key = mac): string => {
    const decoded = decodeSession(text, key);
    return decoded.kind === 'invalid' ? decoded.reason : 'valid';
  };
  expect(reasonOf(token)).toBe('valid');
  for (let i = 0; i < token.length; i++) {
    const changed = token.slice(0, i) + (token[i] === 'A' ? 'B' : 'A') + token.slice(i + 1);
    expect(reasonOf(changed), changed).not.toBe('valid');
  }
  const other = sipKey(new Uint8Array(16));
  expect(reasonOf(token, (bytes) => hash64ToBytes(sipHash64(other, bytes)))).toContain('this cluster');
  expect(reasonOf(encodeContext([dot(1, 5)], utf8('k'), mac))).not.toBe('valid');
  expect(reasonOf('')).toContain('too short');
  expect(reasonOf('!')).toContain('base64url');
  expect(reasonOf('A'.repeat(4097))).toContain('4097 characters');
});

test('golden', () => {
  const session = withSeen(NEW_SESSION, sessionKey(utf8('k')), [dot(1, 5)]);
  expect(encodeSession(session, mac)).toBe('AQABM0afPqgy2EMBAQEFV0gidIo7XRo');
});
