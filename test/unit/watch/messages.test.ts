import { expect, test } from 'vitest';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { decode, encode } from '#wire/codec.ts';
import { MalformedMessage } from '#wire/message.ts';
import { FollowMessage, NewsMessage } from '#watch/messages.ts';

const life = { bucket: 'carts', incarnation: 1 };
const changes = [
  { group: 8, key: utf8('a'), glimpse: Uint8Array.of(1) },
  { group: 9, key: utf8('b'), glimpse: Uint8Array.of(2, 3) },
];
const request = { ...life, after: 7, since: 0, storage: 'ab', follow: true };
const reply = { storage: 'ab', gone: false, from: 7, upTo: 9, more: false, changes };
const news = { ...life, storage: 'ab', from: 7, upTo: 9, changes };

test('come out as they went in', () => {
  expect(FollowMessage.decodeRequest(decode(encode(FollowMessage.encodeRequest(request))))).toEqual(request);
  const fromNow = { ...request, after: null, since: 1000 };
  expect(FollowMessage.decodeRequest(decode(encode(FollowMessage.encodeRequest(fromNow))))).toEqual(fromNow);
  expect(FollowMessage.decodeReply(decode(encode(FollowMessage.encodeReply(reply))))).toEqual(reply);
  expect(NewsMessage.decodeRequest(decode(encode(NewsMessage.encodeRequest(news))))).toEqual(news);
});

test('golden bytes', () => {
  expect(toHex(encode(FollowMessage.encodeRequest(request)))).toMatchInlineSnapshot(`"96a56361727473010700a26162c3"`);
  expect(toHex(encode(FollowMessage.encodeReply(reply)))).toMatchInlineSnapshot(
    `"96a26162c20709c29608c40161c4010109c40162c4020203"`,
  );
  expect(toHex(encode(NewsMessage.encodeRequest(news)))).toMatchInlineSnapshot(
    `"96a5636172747301a2616207099608c40161c4010109c40162c4020203"`,
  );
});

test('what does not fit is malformed', () => {
  expect(() => FollowMessage.decodeRequest(['carts', 1, 'x', 0, '', true])).toThrow(MalformedMessage);
  expect(() => NewsMessage.decodeRequest(['carts', 1, 'ab', 7, 9, [8, 'not bytes', utf8('x')]])).toThrow(
    MalformedMessage,
  );
});
