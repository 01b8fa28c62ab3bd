/** What nodes send each other about hints must not change by accident: golden bytes, and bodies that do not fit. */

import { expect, test } from 'vitest';
import { HeldMessage, HintMessage, SETTLED_MAX, SettleMessage } from '#handoff/messages.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { epoch, nodeIndex } from '#kernel/identity.ts';
import { decode, encode } from '#wire/codec.ts';
import { MalformedMessage } from '#wire/message.ts';

const SCOPE = { epoch: epoch(7), n: 3, partition: 200, bucket: 'carts', incarnation: 1, definition: epoch(5) };
const STORE = { scope: SCOPE, requestId: 'r-1', key: utf8('ann'), state: utf8('state'), durable: true, origin: 9 };

test('a state to be kept for an owner', () => {
  const request = { store: STORE, owner: nodeIndex(4), sole: true, origin: 9 };
  const body = HintMessage.encodeRequest(request);
  expect(toHex(encode(body))).toBe('9497960703ccc8a563617274730105a3722d31c403616e6ec4057374617465c3900904c309');
  expect(HintMessage.decodeRequest(decode(encode(body)))).toEqual(request);
  const reply = { durable: true, revision: 300 };
  expect(toHex(encode(HintMessage.encodeReply(reply)))).toBe('92c3cd012c');
  expect(HintMessage.decodeReply(decode(encode(HintMessage.encodeReply(reply))))).toEqual(reply);
});

test('what is kept of a key', () => {
  const request = { scope: SCOPE, requestId: 'r-1', key: utf8('ann') };
  expect(HeldMessage.decodeRequest(decode(encode(HeldMessage.encodeRequest(request))))).toEqual(request);
  const reply = { state: utf8('state'), owners: [nodeIndex(2), nodeIndex(4)] };
  const body = HeldMessage.encodeReply(reply);
  expect(toHex(encode(body))).toBe('9291c4057374617465920204');
  expect(HeldMessage.decodeReply(decode(encode(body)))).toEqual(reply);
  const nothing = { state: null, owners: [], retry: null, retriesFull: false };
  expect(HeldMessage.decodeReply(decode(encode(HeldMessage.encodeReply(nothing))))).toEqual(nothing);
});

test('hints that are no only copies any more', () => {
  const hints = [{ row: utf8('row'), revision: 300 }];
  const body = SettleMessage.encodeRequest(hints);
  expect(toHex(encode(body))).toBe('9192c403726f77cd012c');
  expect(SettleMessage.decodeRequest(decode(encode(body)))).toEqual(hints);
  expect(SettleMessage.decodeReply(decode(encode(SettleMessage.encodeReply(1))))).toBe(1);
});

test('bodies that do not fit are refused', () => {
  const hint = HintMessage.encodeRequest({ store: STORE, owner: nodeIndex(4), sole: true, origin: 9 }) as unknown[];
  for (const [at, wrong] of [
    [0, 'no store'],
    [1, 65_536],
    [2, 1],
    [3, -1],
  ] as const) {
    const body = hint.map((part, i) => (i === at ? wrong : part));
    expect(() => HintMessage.decodeRequest(body), `element ${at}`).toThrow(MalformedMessage);
  }
  const many = Array.from({ length: SETTLED_MAX + 1 }, () => [utf8('row'), 1]);
  expect(() => SettleMessage.decodeRequest(many)).toThrow(MalformedMessage);
  expect(() => SettleMessage.decodeRequest([[utf8('row')]])).toThrow(MalformedMessage);
  expect(() => HeldMessage.decodeReply([[null], [70_000]])).toThrow(MalformedMessage);
});
