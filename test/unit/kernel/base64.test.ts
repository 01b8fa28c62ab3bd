import { expect, test } from 'vitest';
import fc from 'fast-check';
import * as here from '#kernel/base64.ts';

/** The module as it is where there is no `Buffer`, as in a browser. */
async function withoutBuffer(): Promise<typeof here> {
  const { Buffer } = globalThis;
  Reflect.deleteProperty(globalThis, 'Buffer');
  try {
    return (await import(`${import.meta.resolve('#kernel/base64.ts')}?without-buffer`)) as typeof here;
  } finally {
    globalThis.Buffer = Buffer;
  }
}

const forms = [
  ['in Node.js', here],
  ['in a browser', await withoutBuffer()],
] as const;

test.each(forms)(
  'it is what the host makes of it, and reads back: %s',
  (_, { toBase64url, toBase64, fromBase64url }) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = Buffer.from(bytes).toString('base64url');
        expect(toBase64url(bytes)).toBe(text);
        expect(fromBase64url(text)).toEqual(bytes);
        expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
      }),
    );
    expect(forms[0][1].toBase64url).not.toBe(forms[1][1].toBase64url);
  },
);

test.each(forms)('it refuses what is not canonical: %s', (_, { fromBase64url }) => {
  for (const length of [0, 100, 200]) {
    const before = 'A'.repeat(length);
    for (const end of ['A', 'AB', 'AAB', 'A=', 'AAAA=', 'A+A/', 'é', 'AA A', 'AAAA\n', '\u0141\u0141\u0141\u0141'])
      expect(fromBase64url(before + end), `${length} digits and ${end}`).toBeUndefined();
  }
});

test('bytes that were read have memory of their own', () => {
  expect(here.fromBase64url('A'.repeat(100))!.buffer.byteLength).toBe(75);
});
