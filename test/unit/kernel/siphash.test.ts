import { expect, test } from 'vitest';
import fc from 'fast-check';
import { hash64ToBytes, hash64ToHex, sipHash64, sipKey } from '#kernel/siphash.ts';
import { toHex } from '#kernel/bytes.ts';

/**
 * The vectors of the reference implementation: key 00..0f, input i is the bytes 00..i-1, output in little-endian bytes.
 */
const REFERENCE = `
  310e0edd47db6f72 fd67dc93c539f874 5a4fa9d909806c0d 2d7efbd796666785 b7877127e09427cf 8da699cd64557618
  cee3fe586e46c9cb 37d1018bf50002ab 6224939a79f5f593 b0e4a90bdf82009e f3b9dd94c5bb5d7a a7ad6b22462fb3f4
  fbe50e86bc8f1e75 903d84c02756ea14 eef27a8e90ca23f7 e545be4961ca29a1 db9bc2577fcc2a3f 9447be2cf5e99a69
  9cd38d96f0b3c14b bd6179a71dc96dbb 98eea21af25cd6be c7673b2eb0cbf2d0 883ea3e395675393 c8ce5ccd8c030ca8
  94af49f6c650adb8 eab8858ade92e1bc f315bb5bb835d817 adcf6b0763612e2f a5c91da7acaa4dde 716595876650a2a6
  28ef495c53a387ad 42c341d8fa92d832 ce7cf2722f512771 e37859f94623f3a7 381205bb1ab0e012 ae97a10fd434e015
  b4a31508beff4d31 81396229f0907902 4d0cf49ee5d4dcca 5c73336a76d8bf9a d0a704536ba93e0e 925958fcd6420cad
  a915c29bc8067318 952b79f3bc0aa6d4 f21df2e41d4535f9 87577519048f53a9 10a56cf5dfcd9adb eb75095ccd986cd0
  51a9cb9ecba312e6 96afadfc2ce666c7 72fe52975a4364ee 5a1645b276d592a1 b274cb8ebf87870a 6f9bb4203de7b381
  eaecb2a30b22a87f 9924a43cc1315724 bd838d3aafbf8db7 0b1a2a3265d51aea 135079a3231ce660 932b2846e4d70666
  e1915f5cb1eca46c f325965ca16d629f 575ff28e60381be5 724506eb4c328a95  
`
  .trim()
  .split(/\s+/);

const MASK = 0xffff_ffff_ffff_ffffn;

function rotate(word: bigint, by: bigint): bigint {
  return ((word << by) | (word >> (64n - by))) & MASK;
}

/** The paper's definition, word for word. */
function bigSipHash(key: Uint8Array, bytes: Uint8Array): bigint {
  const padded = Buffer.alloc((bytes.length >> 3) * 8 + 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 0xff;
  const k0 = Buffer.from(key).readBigUInt64LE(0);
  const k1 = Buffer.from(key).readBigUInt64LE(8);
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const round = () => {
    v0 = (v0 + v1) & MASK;
    v1 = rotate(v1, 13n) ^ v0;
    v0 = rotate(v0, 32n);
    v2 = (v2 + v3) & MASK;
    v3 = rotate(v3, 16n) ^ v2;
    v0 = (v0 + v3) & MASK;
    v3 = rotate(v3, 21n) ^ v0;
    v2 = (v2 + v1) & MASK;
    v1 = rotate(v1, 17n) ^ v2;
    v2 = rotate(v2, 32n);
  };
  for (let at = 0; at < padded.length; at += 8) {
    const word = padded.readBigUInt64LE(at);
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  v2 ^= 0xffn;
  for (let i = 0; i < 4; i++) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

const REFERENCE_KEY = Uint8Array.from({ length: 16 }, (_, i) => i);
const REFERENCE_INPUT = Uint8Array.from({ length: 64 }, (_, i) => i);

test('the 64 reference vectors', () => {
  expect(REFERENCE.length).toBe(64);
  const key = sipKey(REFERENCE_KEY);
  for (const [length, expected] of REFERENCE.entries()) {
    const hash = sipHash64(key, REFERENCE_INPUT.subarray(0, length));
    expect(toHex(hash64ToBytes(hash).reverse()), `input of ${length} bytes`).toBe(expected);
  }
});

test('equals the definition on 64-bit integers for any key and input', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.uint8Array({ maxLength: 600, size: 'max' }),
      (key, bytes) => {
        const hash = sipHash64(sipKey(key), bytes);
        expect((BigInt(hash.high) << 32n) | BigInt(hash.low)).toBe(bigSipHash(key, bytes));
      },
    ),
    { numRuns: 500 },
  );
});

test('hex and bytes put the high half first and keep leading zeros', () => {
  const hash = { high: 0x0000_00ab, low: 0x8000_0001 };
  expect(hash64ToHex(hash)).toBe('000000ab80000001');
  expect(hash64ToBytes(hash)).toEqual(new Uint8Array([0, 0, 0, 0xab, 0x80, 0, 0, 1]));
  expect(hash64ToHex(sipHash64(sipKey(REFERENCE_KEY), new Uint8Array(0)))).toBe('726fdb47dd0e0e31');
});

test('a key is 16 bytes', () => {
  for (const length of [0, 15, 17]) expect(() => sipKey(new Uint8Array(length))).toThrow(RangeError);
});
