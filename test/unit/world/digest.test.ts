import { expect, test } from 'vitest';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { digest } from '#world/digest.ts';

test('CRC-32 of the check string', () => {
  expect(digest.crc32(utf8('123456789'))).toBe(0xcbf43926);
  expect(digest.crc32(new Uint8Array(0))).toBe(0);
});

test('SHA-256 of the example in FIPS 180', () => {
  expect(toHex(digest.sha256(utf8('abc')))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('HMAC-SHA-256 of test case 2 in RFC 4231', () => {
  const mac = digest.hmacSha256(utf8('Jefe'), utf8('what do ya want for nothing?'));
  expect(toHex(mac)).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
});

test('secrets are compared', () => {
  expect(digest.equalSecrets(utf8('same'), utf8('same'))).toBe(true);
  expect(digest.equalSecrets(utf8('same'), utf8('sane'))).toBe(false);
  expect(digest.equalSecrets(utf8('same'), utf8('same '))).toBe(false);
});
