import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '#kernel/bytes.ts';
import { epoch, nodeIndex } from '#kernel/identity.ts';
import { factsFromWire, factsToWire } from '#consensus/facts-codec.ts';
import type { Facts } from '#consensus/facts.ts';
import * as messages from '#consensus/messages.ts';
import { voteFromWire, voteToWire } from '#consensus/vote-codec.ts';
import { decode, encode } from '#wire/codec.ts';
import { MalformedMessage } from '#wire/message.ts';
import type { MessageType } from '#wire/message.ts';
import { exampleFacts } from './examples.ts';

const facts: Facts = {
  ...exampleFacts(1),
  epoch: epoch(7),
  buckets: [
    {
      name: 'a',
      incarnation: 2,
      version: epoch(7),
      dropped: false,
      properties: { n: 3, r: 'quorum', sloppy: true, ttl: null },
    },
    { name: 'b', incarnation: 1, version: epoch(5), dropped: true, properties: {} },
  ],
  tokens: [
    {
      name: 'app',
      digest: new Uint8Array(32).fill(0xd1),
      scopes: ['read:a', 'write:a-*'],
      createdAt: 2 ** 40,
      expiresAt: 0,
    },
    { name: 'ops', digest: new Uint8Array(32).fill(0xd2), scopes: ['admin:*'], createdAt: 2 ** 40, expiresAt: 2 ** 41 },
  ],
};
/** As a version wrote them that knew no tokens, and as this one writes them when there are none. */
const tokenless: Facts = { ...facts, tokens: [] };
const ballot = { time: 1_750_000_000_000, node: nodeIndex(2), boot: 3 };
const origin = '5a'.repeat(32);
const decided = { origin, epochs: [facts] };
const introduction = { id: 'n1', storageId: '0'.repeat(32), peer: 'a:1', url: 'http://a', zone: 'z', weight: 1.5 };

type Any = MessageType<unknown, unknown>;
type Example = readonly [type: Any, requests: readonly unknown[], replies: readonly unknown[]];

const EXAMPLES: readonly Example[] = [
  [
    messages.introduce as Any,
    [{ introduction, epoch: epoch(0), origin: '' }],
    [{ introduction, epoch: epoch(4), origin }],
  ],
  [
    messages.prepareEpoch as Any,
    [{ origin: '', epoch: epoch(1), ballot }],
    [
      { kind: 'promised', accepted: null },
      { kind: 'promised', accepted: { ballot, value: facts } },
      { kind: 'rejected', highest: ballot },
      { kind: 'decided', decided },
    ],
  ],
  [
    messages.acceptEpoch as Any,
    [{ origin, ballot, facts }],
    [{ kind: 'accepted' }, { kind: 'rejected', highest: ballot }, { kind: 'decided', decided }],
  ],
  [messages.announceDecided as Any, [decided], [epoch(7)]],
  [messages.learnDecided as Any, [epoch(3)], [decided, { origin: '', epochs: [] }]],
  [
    messages.confirmEpoch as Any,
    [{ origin, epoch: epoch(7) }],
    [{ epoch: epoch(7), undecidedVote: true, voter: false }],
  ],
  [messages.installedEpoch as Any, [epoch(7)], [epoch(6)]],
];

describe('messages of the epoch chain', () => {
  it.each(EXAMPLES)('come back as they went: $name', (type, requests, replies) => {
    for (const request of requests)
      expect(type.decodeRequest(decode(encode(type.encodeRequest(request))))).toEqual(request);
    for (const reply of replies) expect(type.decodeReply(decode(encode(type.encodeReply(reply))))).toEqual(reply);
  });

  it('are refused as malformed, and in no other way, when they are anything else', () => {
    const { value: anything } = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: 'small' }, fc.constant(null), fc.boolean(), fc.integer(), fc.string(), tie('list')),
      list: fc.array(tie('value'), { maxLength: 8 }),
    }));
    const decoders = EXAMPLES.flatMap(([type]) => [type.decodeRequest, type.decodeReply]);
    fc.assert(
      fc.property(anything, fc.constantFrom(...decoders), (body, decoder) => {
        try {
          decoder(body);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessage);
        }
      }),
    );
  });

  it('are refused when an element of a good one is replaced', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(null, -1, 'x', [], 1e300), (position, replacement) => {
        const body = structuredClone(factsToWire(facts)) as unknown[];
        const places: [unknown[], number][] = [];
        const walk = (list: unknown[]): void => {
          for (const [i, element] of list.entries()) {
            places.push([list, i]);
            if (Array.isArray(element)) walk(element);
          }
        };
        walk(body);
        const [list, i] = places[position % places.length]!;
        list[i] = replacement;
        try {
          factsFromWire(body);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedMessage);
        }
      }),
    );
  });
});

describe('facts on the wire and on disk', () => {
  it('have these bytes', () => {
    expect(toHex(encode(factsToWire(facts)))).toMatchInlineSnapshot(
      `"940796d920616261626162616261626162616261626162616261626162616261626162616202d9203132313231323132313231323132313231323132313231323132313231323132919800a26e31d9203030303030303030303030303030303030303030303030303030303030303031a96e312e746573743a31ae687474703a2f2f6e312e74657374a17a01a661637469766591009194039201029200009201029295a1610207c29492a16e0392a172a671756f72756d92a6736c6f707079c392a374746cc095a1620105c3909295a3617070c420d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d192a6726561643a61a977726974653a612d2acb42700000000000000095a36f7073c420d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d291a761646d696e3a2acb4270000000000000cb4280000000000000"`,
    );
    expect(toHex(encode(factsToWire(tokenless)))).toMatchInlineSnapshot(
      `"930796d920616261626162616261626162616261626162616261626162616261626162616202d9203132313231323132313231323132313231323132313231323132313231323132919800a26e31d9203030303030303030303030303030303030303030303030303030303030303031a96e312e746573743a31ae687474703a2f2f6e312e74657374a17a01a661637469766591009194039201029200009201029295a1610207c29492a16e0392a172a671756f72756d92a6736c6f707079c392a374746cc095a1620105c390"`,
    );
    expect(toHex(encode(voteToWire({ promised: ballot, accepted: null })))).toMatchInlineSnapshot(
      `"9293cb427977420dc000000203c0"`,
    );
  });

  it('may have grown in a later version', () => {
    const body = factsToWire(facts) as unknown[];
    const longer = (rows: unknown): unknown[] => (rows as unknown[][]).map((row) => [...row, 'new']);
    const grown = [...body.slice(0, 2), longer(body[2]), longer(body[3]), 'new', [1]];
    expect(factsFromWire(grown)).toEqual(facts);
    expect(factsFromWire((factsToWire(tokenless) as unknown[]).slice(0, 3))).toEqual(tokenless);
    const [first, ...others] = facts.buckets;
    const frozen: Facts = { ...facts, buckets: [{ ...first!, frozen: true }, ...others] };
    expect(factsFromWire(factsToWire(frozen))).toEqual(frozen);
  });

  it('name each token once and in order, with a whole digest', () => {
    const [a, b] = facts.tokens;
    expect(() => factsFromWire(factsToWire({ ...facts, tokens: [b!, a!] }))).toThrow(MalformedMessage);
    expect(() => factsFromWire(factsToWire({ ...facts, tokens: [a!, a!] }))).toThrow(MalformedMessage);
    const short = { ...a!, digest: new Uint8Array(31) };
    expect(() => factsFromWire(factsToWire({ ...facts, tokens: [short] }))).toThrow(MalformedMessage);
  });

  it('name each bucket once and in order', () => {
    const [a, b] = facts.buckets;
    expect(() => factsFromWire(factsToWire({ ...facts, buckets: [b!, a!] }))).toThrow(MalformedMessage);
    expect(() => factsFromWire(factsToWire({ ...facts, buckets: [a!, a!] }))).toThrow(MalformedMessage);
  });

  it('keep a property named like a prototype as a property', () => {
    const properties = Object.fromEntries([['__proto__', 1]]);
    const row = { ...facts.buckets[0]!, properties };
    const read = factsFromWire(factsToWire({ ...facts, buckets: [row] })).buckets[0]!;
    expect(Object.keys(read.properties)).toEqual(['__proto__']);
  });

  it('stand in votes too', () => {
    const vote = { promised: ballot, accepted: { ballot, value: facts } };
    expect(voteFromWire(decode(encode(voteToWire(vote))))).toEqual(vote);
  });
});
