import { expect, test } from 'vitest';
import { toHex } from '#kernel/bytes.ts';
import { MovesMessage, type MovesReply } from '#repair/moves-message.ts';
import { decode, encode } from '#wire/codec.ts';

const REPLY: MovesReply = {
  ...{ storageId: 'ab', ready: false, keepsOnlyCopies: true, empty: false },
  done: [{ n: 3, partition: 7, changedIn: 12 }],
  waiting: { milliseconds: 900, reason: 'a clock' },
  triedInVain: [{ n: 2, partition: 5, changedIn: 11 }],
  stores: false,
};

test('what a node says of its part in a ring change comes over as it is, and these are its bytes', () => {
  const bytes = encode(MovesMessage.encodeReply(REPLY));
  expect(toHex(bytes)).toBe('98a26162c2c3c2919303070c92cd0384a76120636c6f636b919302050bc2');
  expect(MovesMessage.decodeReply(decode(bytes))).toEqual(REPLY);
  const nothing: MovesReply = { ...REPLY, waiting: null, done: [], triedInVain: [] };
  expect(MovesMessage.decodeReply(decode(encode(MovesMessage.encodeReply(nothing))))).toEqual(nothing);
});

test('a node of an earlier version says less, and a later one may say more', () => {
  const fields = MovesMessage.encodeReply(REPLY) as readonly unknown[];
  expect(MovesMessage.decodeReply(fields.slice(0, 5))).toEqual({
    ...REPLY,
    ...{ waiting: null, triedInVain: [], stores: true },
  });
  expect(MovesMessage.decodeReply(fields.slice(0, 7))).toEqual({ ...REPLY, stores: true });
  expect(MovesMessage.decodeReply([...fields, 'more'])).toEqual(REPLY);
  expect(() => MovesMessage.decodeReply(fields.slice(0, 4))).toThrow('repair.moves reply');
});
