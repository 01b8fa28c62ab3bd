import { expect, test } from 'vitest';
import { EMPTY_BYTES, utf8 } from '#kernel/bytes.ts';
import { epoch, nodeId, nodeIndex } from '#kernel/identity.ts';
import { withoutValues, writeMessage, type ForwardedWrite } from '#coordinator/messages.ts';
import type { WriteOutcome } from '#coordinator/requests.ts';
import { decode, encode } from '#wire/codec.ts';
import { digest } from '#world/digest.ts';

const Message = writeMessage(digest.crc32);
const DOT = { node: nodeIndex(2), tenure: 9_000_000_000_000, counter: 9_000_000_000_001 };
const CONTENT = { value: utf8('v'), contentType: 'text/plain', contentEncoding: '', meta: [['a', 'b'] as const] };
const AGREEMENT = { acked: 2, needed: 2, of: 3, fallbacks: 0 };

const REQUEST: ForwardedWrite = {
  epoch: epoch(3),
  bucket: { name: 'b', incarnation: 0, version: epoch(2) },
  requestId: 'r',
  key: utf8('k'),
  content: CONTENT,
  context: [DOT],
  r: 2,
  pr: 0,
  w: 2,
  pw: 1,
  dw: 2,
  ttl: 0,
  sloppy: true,
  returnBody: false,
  conditions: null,
  mark: null,
};

test('a forwarded write comes over as it went out', () => {
  for (const change of [
    {},
    { content: null },
    { context: null },
    { context: [] },
    { returnBody: true, sloppy: false },
    { zone: 'z1' },
    { least: [DOT] },
    { content: null, operation: { kind: 'increment' as const, by: -3 } },
    { mark: { id: new Uint8Array(16).fill(1), fingerprint: new Uint8Array(16).fill(2) } },
    { conditions: { ifMatch: '*' as const, ifNoneMatch: undefined } },
    { conditions: { ifMatch: undefined, ifNoneMatch: [{ weak: true, opaque: '' }] } },
  ]) {
    const request = { ...REQUEST, ...change };
    expect(Message.decodeRequest(decode(encode(Message.encodeRequest(request))))).toEqual(request);
  }
});

test('all outcomes come back as they were', () => {
  const outcomes: readonly WriteOutcome[] = [
    {
      kind: 'applied',
      agreement: AGREEMENT,
      coordinator: nodeId('n2'),
      versions: [{ dot: DOT, content: CONTENT, expiresAt: 0 }],
      context: [DOT],
      written: DOT,
    },
    { kind: 'unknown', trouble: 'quorum-timeout', detail: 'late', agreement: AGREEMENT },
    { kind: 'not-applied', trouble: 'too-many-siblings', detail: 'many', agreement: AGREEMENT, context: [DOT] },
    { kind: 'unknown', trouble: 'disk-full', detail: 'full', agreement: AGREEMENT, written: DOT },
    { kind: 'precondition-failed', agreement: AGREEMENT, coordinator: nodeId('n2'), etag: 'abc' },
    { kind: 'precondition-failed', agreement: AGREEMENT, coordinator: nodeId('n2'), etag: undefined },
  ];
  for (const outcome of outcomes) {
    expect(Message.decodeReply(decode(encode(Message.encodeReply(outcome))))).toEqual(outcome);
  }
});

test('an outcome or a trouble that this version does not know is malformed, not a success', () => {
  for (const [body, why] of [
    [['perhaps', [0, 0, 0, 0], 'quorum-timeout', '', null], 'outcome perhaps'],
    [['unknown', [0, 0, 0, 0], 'bad-weather', '', null], 'outcome unknown with trouble bad-weather'],
    [['applied', [0, 0, 0, 0], 'n1', new Uint8Array([9, 2, 3])], 'state in format 9'],
  ] as const) {
    expect(() => Message.decodeReply(body)).toThrow(why);
  }
});

test('versions without values keep their dots and headers, and stay what they are', () => {
  const deleted = { dot: DOT, content: null, expiresAt: 0 };
  expect(withoutValues([{ dot: DOT, content: CONTENT, expiresAt: 5 }, deleted])).toEqual([
    { dot: DOT, content: { ...CONTENT, value: EMPTY_BYTES }, expiresAt: 5 },
    deleted,
  ]);
});
