import { describe, expect, test } from 'vitest';
import { ListMessage } from '#coordinator/list-messages.ts';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { epoch } from '#kernel/identity.ts';
import { decode, encode } from '#wire/codec.ts';
import { MalformedMessage } from '#wire/message.ts';

const request = {
  scope: { epoch: epoch(7), n: 3, bucket: 'carts', incarnation: 1, definition: epoch(4) },
  partitions: Uint8Array.of(0b101),
  prefix: utf8('user-'),
  after: utf8('user-17'),
  limit: 100,
};
const reply = {
  entries: [
    [utf8('user-18'), Uint8Array.of(1, 2)],
    [utf8('user-19'), Uint8Array.of(3)],
  ] as const,
  upTo: utf8('user-19'),
  unable: [2],
};

describe('coordinator.list', () => {
  test('comes out as it went in', () => {
    expect(ListMessage.decodeRequest(decode(encode(ListMessage.encodeRequest(request))))).toEqual(request);
    expect(ListMessage.decodeReply(decode(encode(ListMessage.encodeReply(reply))))).toEqual(reply);
    const last = { ...reply, upTo: null };
    expect(ListMessage.decodeReply(decode(encode(ListMessage.encodeReply(last))))).toEqual(last);
  });

  test('golden bytes', () => {
    expect(toHex(encode(ListMessage.encodeRequest(request)))).toMatchInlineSnapshot(
      `"95950703a563617274730104c40105c405757365722dc407757365722d313764"`,
    );
    expect(toHex(encode(ListMessage.encodeReply(reply)))).toMatchInlineSnapshot(
      `"9394c407757365722d3138c4020102c407757365722d3139c40103c407757365722d31399102"`,
    );
  });

  test('what does not fit is malformed', () => {
    const body = ListMessage.encodeRequest(request) as unknown[];
    expect(() => ListMessage.decodeRequest([...body.slice(0, 4), 5000])).toThrow(MalformedMessage);
    expect(() => ListMessage.decodeReply([[utf8('k'), 7], null, []])).toThrow(MalformedMessage);
  });
});
