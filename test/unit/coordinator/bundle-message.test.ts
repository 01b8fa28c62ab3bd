import { expect, test } from 'vitest';
import { BundleMessage } from '#coordinator/bundle-message.ts';
import { toHex } from '#kernel/bytes.ts';
import { decode, encode } from '#wire/codec.ts';
import { MalformedMessage } from '#wire/message.ts';

const request = {
  items: [
    { name: 'replica.store', body: [1, 'a'] },
    { name: 'replica.fetch', body: [2] },
  ],
};
const reply = {
  items: [
    { kind: 'reply', body: [true] },
    { kind: 'refused', code: 'stale-epoch', detail: 'owners changed', value: 7 },
    { kind: 'alone' },
  ],
} as const;

test('comes out as it went in', () => {
  expect(BundleMessage.decodeRequest(decode(encode(BundleMessage.encodeRequest(request))))).toEqual(request);
  expect(BundleMessage.decodeReply(decode(encode(BundleMessage.encodeReply(reply))))).toEqual(reply);
});

test('golden bytes', () => {
  expect(toHex(encode(BundleMessage.encodeRequest(request)))).toMatchInlineSnapshot(
    `"919292ad7265706c6963612e73746f72659201a16192ad7265706c6963612e66657463689102"`,
  );
  expect(toHex(encode(BundleMessage.encodeReply(reply)))).toMatchInlineSnapshot(
    `"9193920091c39401ab7374616c652d65706f6368ae6f776e657273206368616e676564079102"`,
  );
});

test('nothing but what may be bundled comes in one, and not a bundle', () => {
  for (const name of ['coordinator.bundle', 'consensus.accept', 7])
    expect(() => BundleMessage.decodeRequest([[[name, []]]])).toThrow(MalformedMessage);
  expect(() => BundleMessage.decodeReply([[[9]]])).toThrow(MalformedMessage);
});
