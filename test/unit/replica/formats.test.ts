/** What is stored and sent must not change by accident: golden bytes. A change wants a new version beside the old one. */

import { expect, test } from 'vitest';
import { compareBytes, fromHex, toHex, utf8 } from '#kernel/bytes.ts';
import { epoch, nodeIndex } from '#kernel/identity.ts';
import { keyOfNumber, numberOfKey } from '#kernel/number-key.ts';
import { FetchMessage, StoreMessage, STORES_MAX, StoresMessage } from '#replica/messages.ts';
import { decodeEntry, decodeRetry, encodeEntry, retryKey, type RetryRow } from '#replica/retry-codec.ts';
import { digest } from '#world/digest.ts';
import { recordKey, recordPrefix } from '#replica/tables.ts';
import { decode, encode } from '#wire/codec.ts';
import { MalformedMessage } from '#wire/message.ts';

const SCOPE = { epoch: epoch(7), n: 3, partition: 200, bucket: 'carts', incarnation: 1, definition: epoch(5) };

test('the key of a record row', () => {
  expect(toHex(recordKey('ab', 0x01020304, utf8('k/é')))).toBe('616200010203046b2fc3a9');
  expect(toHex(recordPrefix('ab', 0))).toBe('61620000000000');
});

test('rows of a bucket are neighbours, those of other buckets and lives lie outside', () => {
  const from = recordPrefix('b', 1);
  const to = recordPrefix('b', 2);
  const inside = (row: Uint8Array): boolean => compareBytes(from, row) <= 0 && compareBytes(row, to) < 0;
  for (const key of ['', 'a', '\u0000', '\uffff']) {
    expect(inside(recordKey('b', 1, utf8(key)))).toBe(true);
    for (const [bucket, incarnation] of [
      ['b', 0],
      ['b', 2],
      ['a', 1],
      ['bb', 1],
      ['b.', 1],
      ['c', 1],
    ] as const) {
      expect(inside(recordKey(bucket, incarnation, utf8(key))), `${bucket} ${incarnation}`).toBe(false);
    }
  }
});

test('what a coordinator sends to a replica', () => {
  const store = { scope: SCOPE, requestId: 'r-1', key: utf8('ann'), state: utf8('state'), durable: true, origin: 9 };
  const storeBytes = encode(StoreMessage.encodeRequest(store));
  expect(toHex(storeBytes)).toBe('97960703ccc8a563617274730105a3722d31c403616e6ec4057374617465c39009');
  expect(StoreMessage.decodeRequest(decode(storeBytes))).toEqual(store);
  const fetch = { scope: SCOPE, requestId: 'r-1', key: utf8('ann') };
  const fetchBytes = encode(FetchMessage.encodeRequest(fetch));
  expect(toHex(fetchBytes)).toBe('93960703ccc8a563617274730105a3722d31c403616e6e');
  expect(FetchMessage.decodeRequest(decode(fetchBytes))).toEqual(fetch);
  expect(toHex(encode(StoreMessage.encodeReply({ durable: false })))).toBe('91c2');
  expect(toHex(encode(FetchMessage.encodeReply({ state: null })))).toBe('91c0');
});

test('several stores in one message, and what became of each', () => {
  const store = { scope: SCOPE, requestId: 'r-1', key: utf8('ann'), state: utf8('state'), durable: true, origin: 9 };
  const bytes = encode(StoresMessage.encodeRequest([store, { ...store, requestId: 'r-2' }]));
  expect(toHex(bytes)).toBe(
    '919297960703ccc8a563617274730105a3722d31c403616e6ec4057374617465c39009' +
      '97960703ccc8a563617274730105a3722d32c403616e6ec4057374617465c39009',
  );
  expect(StoresMessage.decodeRequest(decode(bytes))).toEqual([store, { ...store, requestId: 'r-2' }]);
  const results = [
    { kind: 'reply', reply: { durable: true } },
    { kind: 'refused', code: 'stale-epoch', detail: 'owners changed', value: 8 },
  ] as const;
  const replyBytes = encode(StoresMessage.encodeReply(results));
  expect(toHex(replyBytes)).toBe('9192c393ab7374616c652d65706f6368ae6f776e657273206368616e67656408');
  expect(StoresMessage.decodeReply(decode(replyBytes))).toEqual(results);
  for (const bad of [[], [[7]], [[['code']]], [[['code', 'detail', 1.5]]], [[true, null]]])
    expect(() => StoresMessage.decodeReply(bad), JSON.stringify(bad)).toThrow(MalformedMessage);
  const many = Array.from({ length: STORES_MAX + 1 }, () => StoreMessage.encodeRequest(store));
  for (const bad of [[], ['x'], [many], [[['x']]]])
    expect(() => StoresMessage.decodeRequest(bad)).toThrow(MalformedMessage);
});

test('values only up to so many bytes: an element more, and an answer that is no state', () => {
  const fetch = { scope: SCOPE, requestId: 'r-1', key: utf8('ann'), valuesUpTo: 8192 };
  const bytes = encode(FetchMessage.encodeRequest(fetch));
  expect(toHex(bytes)).toBe('95960703ccc8a563617274730105a3722d31c403616e6ec0cd2000');
  expect(FetchMessage.decodeRequest(decode(bytes))).toEqual(fetch);
  const reply = encode(FetchMessage.encodeReply({ outline: utf8('o') }));
  expect(toHex(reply)).toBe('9191c4016f');
  expect(FetchMessage.decodeReply(decode(reply))).toEqual({ outline: utf8('o') });
  for (const bad of [[[]], [['o']], [[null]], ['o']])
    expect(() => FetchMessage.decodeReply(bad)).toThrow(MalformedMessage);
});

test('what need not be sent again: an element more, and an answer that is nothing but that', () => {
  const fetch = {
    scope: SCOPE,
    requestId: 'r-1',
    key: utf8('ann'),
    valuesUpTo: 8192,
    unless: { head: utf8('s'), check: 200 },
  };
  const bytes = encode(FetchMessage.encodeRequest(fetch));
  expect(toHex(bytes)).toBe('98960703ccc8a563617274730105a3722d31c403616e6ec0cd2000c0c40173ccc8');
  expect(FetchMessage.decodeRequest(decode(bytes))).toEqual(fetch);
  const reply = encode(FetchMessage.encodeReply({ isSame: true }));
  expect(toHex(reply)).toBe('91c2');
  expect(FetchMessage.decodeReply(decode(reply))).toEqual({ isSame: true });
  const [scope, requestId, key] = FetchMessage.encodeRequest(fetch) as readonly unknown[];
  const rest = (...unless: unknown[]): unknown[] => [scope, requestId, key, null, 1, null, ...unless];
  for (const bad of [['s', 1], [1, 1], [utf8('s')], [utf8('s'), -1], [utf8('s'), 2 ** 32], [utf8('s'), null]])
    expect(() => FetchMessage.decodeRequest(rest(...bad))).toThrow(MalformedMessage);
});

const MARK = new Uint8Array(16).fill(0xab);
const RETRY: RetryRow = {
  id: new Uint8Array(16).fill(1),
  fingerprint: MARK,
  dot: { node: nodeIndex(2), tenure: 9, counter: 300 },
  until: 1_764_000_000_000,
};

test('what a request has become travels with the state, and with the answer when it was asked for', () => {
  const store = {
    scope: SCOPE,
    requestId: 'r-1',
    key: utf8('ann'),
    state: utf8('s'),
    durable: true,
    origin: 9,
    retries: [RETRY],
  };
  const bytes = encode(StoreMessage.encodeRequest(store));
  const wire = `96c410${'01'.repeat(16)}c410${'ab'.repeat(16)}0209cd012ccb4279ab697e800000`;
  expect(toHex(bytes)).toBe(`97960703ccc8a563617274730105a3722d31c403616e6ec40173c391${wire}09`);
  expect(StoreMessage.decodeRequest(decode(bytes))).toEqual(store);
  const fetch = { scope: SCOPE, requestId: 'r-1', key: utf8('ann'), retryId: RETRY.id };
  expect(FetchMessage.decodeRequest(decode(encode(FetchMessage.encodeRequest(fetch))))).toEqual(fetch);
  const asksLittle = { ...fetch, fingerprint: RETRY.fingerprint };
  expect(FetchMessage.decodeRequest(decode(encode(FetchMessage.encodeRequest(asksLittle))))).toEqual(asksLittle);
  expect(toHex(encode(FetchMessage.encodeReply({ isNew: true })))).toBe('91c3');
  expect(FetchMessage.decodeReply([true])).toEqual({ isNew: true });
  for (const retry of [null, RETRY]) {
    const reply = { state: null, retry, retriesFull: retry === null };
    expect(FetchMessage.decodeReply(decode(encode(FetchMessage.encodeReply(reply))))).toEqual(reply);
  }
});

test('the rows of retries', () => {
  const place = { n: 3, partition: 0, bucket: 'ab', incarnation: 0x01020304 };
  const name = retryKey(place, utf8('k'), RETRY.id);
  expect(toHex(name)).toBe(`6162000102030400016b${'01'.repeat(16)}`);
  const rows = [
    { name, row: RETRY },
    { name: retryKey(place, utf8('bob'), MARK), row: { ...RETRY, id: MARK, until: 5 } },
  ];
  const entry = encodeEntry(rows, digest.crc32);
  const golden = [
    `011a${toHex(name)}0209ac0280d0dfb4ab33${'ab'.repeat(16)}`,
    `1c${toHex(rows[1]!.name)}0209ac0205${'ab'.repeat(16)}`,
    '19534a49',
  ];
  expect(toHex(entry)).toBe(golden.join(''));
  expect(decodeEntry(entry, digest.crc32)).toEqual(rows);
  for (let i = 0; i < entry.length; i++) {
    const damaged = Uint8Array.from(entry);
    damaged[i]! ^= 1;
    expect(decodeEntry(damaged, digest.crc32)).toBeUndefined();
    expect(decodeEntry(entry.subarray(0, i), digest.crc32)).toBeUndefined();
  }
  expect(toHex(keyOfNumber(0x0102030405))).toBe('0000000102030405');
  expect(numberOfKey(keyOfNumber(0x0102030405))).toBe(0x0102030405);
  // As earlier releases have stored one.
  const row = fromHex('010209ac0280d0dfb4ab33ababababababababababababababababbad3ee54')!;
  expect(decodeRetry(RETRY.id, row, digest.crc32)).toEqual(RETRY);
  expect(decodeRetry(RETRY.id, row.subarray(1), digest.crc32)).toBeUndefined();
});

test('a request of the wrong shape is malformed, one with more elements is a newer version', () => {
  const good = StoreMessage.encodeRequest({
    scope: SCOPE,
    requestId: 'r',
    key: utf8('k'),
    state: utf8('s'),
    durable: false,
    origin: 0,
  }) as unknown[];
  expect(StoreMessage.decodeRequest([...good, [], 'from a later version'])).toMatchObject({ requestId: 'r' });
  for (const bad of [
    null,
    [],
    good.slice(0, 4),
    [[], ...good.slice(1)],
    [[-1, 3, 0, 'b', 0, 0], ...good.slice(1)],
    [[1, 8, 0, 'b', 0, 0], ...good.slice(1)],
    [good[0], 7, ...good.slice(2)],
    [good[0], 'r', 'key as text', ...good.slice(3)],
    [good[0], 'r', new Uint8Array(1025), ...good.slice(3)],
    [...good.slice(0, 4), 1],
    [...good.slice(0, 5), 'no list of retries', 0],
    [...good.slice(0, 5), [[new Uint8Array(15), MARK, 0, 1, 1, 0]], 0],
    [...good.slice(0, 6), -1],
  ]) {
    expect(() => StoreMessage.decodeRequest(bad), JSON.stringify(bad)).toThrow(MalformedMessage);
  }
});
