import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex, utf8 } from '#kernel/bytes.ts';
import { nodeId } from '#kernel/identity.ts';
import { encode } from '#wire/codec.ts';
import { decodeEnvelope, encodeEnvelope, NONCE_BYTES, PROOF_BYTES } from '#wire/envelope.ts';
import type { Envelope } from '#wire/envelope.ts';
import { MalformedMessage } from '#wire/message.ts';

const nonce = new Uint8Array(NONCE_BYTES).fill(0xaa);
const proof = new Uint8Array(PROOF_BYTES).fill(0xbb);
const from = { id: nodeId('n1'), storageId: 'disk1', clusterId: 'c1' };
const AA = 'aa'.repeat(32);
const BB = 'bb'.repeat(32);
const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

/** The wire format: these bytes may never change. */
const GOLDEN: [Envelope, string][] = [
  [
    { kind: 'hello', lowestVersion: 1, highestVersion: 2, nonce, from, to: nodeId('n2') },
    `98010102c420${AA}a26e31a56469736b31a26331a26e32`,
  ],
  [{ kind: 'welcome', version: 1, nonce, from }, `960201c420${AA}a26e31a56469736b31a26331`],
  [{ kind: 'proof', proof, epoch: 7, founders: 'n1,n2' }, `9403c420${BB}07a56e312c6e32`],
  [{ kind: 'accepted', proof, epoch: 7, founders: 'n1,n2' }, `9404c420${BB}07a56e312c6e32`],
  [{ kind: 'refused', reason: 'wrong-node', detail: 'why' }, '9305aa77726f6e672d6e6f6465a3776879'],
  [
    { kind: 'request', callId: 300, name: 'a.b', remaining: 600, body: [1, new Uint8Array([9])] },
    '950acd012ca3612e62cd02589201c40109',
  ],
  [
    {
      kind: 'request',
      callId: 1,
      name: 'a',
      remaining: 2,
      body: null,
      trace: { traceparent: TRACEPARENT, tracestate: '' },
    },
    `960a01a16102c091d937${toHex(utf8(TRACEPARENT))}`,
  ],
  [
    {
      kind: 'request',
      callId: 1,
      name: 'a',
      remaining: 2,
      body: 3,
      trace: { traceparent: TRACEPARENT, tracestate: 'x=1' },
    },
    `960a01a1610203` + `92d937${toHex(utf8(TRACEPARENT))}a3783d31`,
  ],
  [{ kind: 'request', callId: 1, name: 'a', remaining: 2, body: 3, sentAt: 300 }, '970a01a1610203c0cd012c'],
  [{ kind: 'reply', callId: 300, body: null }, '930bcd012cc0'],
  [{ kind: 'refusal', callId: 1, code: 'stale', detail: 'old', value: -2 }, '950c01a57374616c65a36f6c64fe'],
  [{ kind: 'ping', epoch: 3 }, '920d03'],
  [{ kind: 'pong', epoch: 3 }, '920e03'],
  [{ kind: 'goodbye', reason: 'stopping' }, '920fa873746f7070696e67'],
  [{ kind: 'draining' }, '9110'],
];

describe('envelope', () => {
  test.each(GOLDEN)('golden bytes of %o', (envelope, bytes) => {
    expect(toHex(encodeEnvelope(envelope))).toBe(bytes);
    expect(decodeEnvelope(fromHex(bytes)!)).toEqual(envelope);
  });

  test('elements that a later version appends are ignored', () => {
    for (const [envelope, bytes] of GOLDEN) {
      const head = Number.parseInt(bytes.slice(0, 2), 16) + 1;
      const longer = fromHex(`${head.toString(16)}${bytes.slice(2)}c3`)!;
      expect(decodeEnvelope(longer)).toEqual(envelope);
    }
  });

  test.each([7, 'x', [], [1], ['00-short'], [TRACEPARENT, 5], [TRACEPARENT, 'x'.repeat(513)]])(
    'a request with the trace %o goes on without what does not fit',
    (trace) => {
      const envelope = decodeEnvelope(encode([10, 1, 'a', 2, null, trace]));
      const whole = { kind: 'request', callId: 1, name: 'a', remaining: 2, body: null };
      const kept = Array.isArray(trace) && trace[0] === TRACEPARENT;
      expect(envelope).toEqual(kept ? { ...whole, trace: { traceparent: TRACEPARENT, tracestate: '' } } : whole);
    },
  );

  test.each([
    [null, 'message: expected an array, got nil'],
    [[], 'message: expected 1 elements or more, got 0'],
    [['ping', 1], 'message tag: expected a whole number, got a string'],
    [[99, 1], 'message tag 99 is unknown'],
    [[13], 'epoch: expected a whole number, got a undefined'],
    [[13, -1], 'epoch: expected 0 to 9007199254740991, got -1'],
    [[10, 0, 'a', 1, null], 'call id: expected 1 to 9007199254740991, got 0'],
    [[10, 1, 'a', 1], 'the message has no body'],
    [[10, 1, 'a', Number.POSITIVE_INFINITY, null], 'remaining time: expected a whole number, got Infinity'],
    [[10, 1, 'a'.repeat(65), 1, null], 'message name: expected 64 characters or fewer, got 65'],
    [[11, 1], 'the message has no body'],
    [[1, 2, 1, nonce, 'n1', 's', 'c', 'n2'], 'highest version: expected 2 to 65535, got 1'],
    [[1, 1, 1, nonce.subarray(1), 'n1', 's', 'c', 'n2'], 'nonce: expected 32 bytes, got 31'],
    [[1, 1, 1, nonce, 'n 1', 's', 'c', 'n2'], 'node id: "n 1" is not a node id'],
    [[3, new Uint8Array(33), 1, ''], 'proof: expected 32 bytes or fewer, got 33'],
  ])('refuses %o', (parts, message) => {
    expect(() => decodeEnvelope(encode(parts))).toThrow(new MalformedMessage(message));
  });

  test('random arrays under each tag are read or refused, never anything else', () => {
    const part = fc.oneof(
      fc.maxSafeInteger(),
      fc.string(),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.constant(null),
      fc.constant([]),
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 16 }), fc.array(part, { maxLength: 9 }), (tag, parts) => {
        try {
          decodeEnvelope(encode([tag, ...parts]));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessage);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
