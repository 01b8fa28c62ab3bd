/** What new owners are told of requests with idempotency keys, in bytes. */

import { expect, test } from 'vitest';
import { toHex, utf8 } from '#kernel/bytes.ts';
import { epoch } from '#kernel/identity.ts';
import { RetriesMessage } from '#repair/take-retries.ts';
import { recordKey } from '#replica/tables.ts';
import { encode } from '#wire/codec.ts';
import { dot } from '../causality/examples.ts';

test('golden bytes', () => {
  const request = {
    basis: { fingerprint: 7, epoch: epoch(9) },
    place: { n: 3, partition: 5 },
    after: { high: 2, low: 3 },
  };
  expect(toHex(encode(RetriesMessage.encodeRequest(request)))).toMatchInlineSnapshot(`"93920709920305920203"`);
  expect(RetriesMessage.decodeRequest(RetriesMessage.encodeRequest(request))).toEqual(request);
  const row = { id: new Uint8Array(16).fill(1), fingerprint: new Uint8Array(16).fill(2), dot: dot(1, 10), until: 99 };
  const reply = { keys: [[recordKey('b', 0, utf8('k')), [row]] as const], last: undefined };
  expect(toHex(encode(RetriesMessage.encodeReply(reply)))).toMatchInlineSnapshot(
    `"929192c4076200000000006b9196c41001010101010101010101010101010101c4100202020202020202020202020202020201010a63c0"`,
  );
  expect(RetriesMessage.decodeReply(RetriesMessage.encodeReply(reply))).toEqual(reply);
});
