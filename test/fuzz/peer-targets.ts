/**
 * The door for peers of a real process: strangers that send anything, and a peer that knows the secret and has gone mad.
 * Whatever comes, each connection is answered or ended, and the node goes on serving its clients.
 */

import fc from 'fast-check';
import { encode } from '#wire/codec.ts';
import { decodeEnvelope, encodeEnvelope } from '#wire/envelope.ts';
import { chunked, damage, damaged, garbage } from './http-cases.ts';
import { messageNames, recordCorpus, type Heard } from './message-corpus.ts';
import { framed, PeerVisitor, throwIn, UPGRADE, type Host } from './peer-visitor.ts';
import { broken } from './promises.ts';
import { atNode } from './real-node.ts';
import type { Target } from './target.ts';

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

// --- Values --------------------------------------------------------------------------------------------------------

const leaf = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    '',
    'n1',
    'b',
    0,
    1,
    -1,
    7,
    256,
    2 ** 31,
    2 ** 32,
    Number.MAX_SAFE_INTEGER,
  ),
  fc.constantFrom<unknown>(1.5, -0, 1e300, -(2 ** 53), 'x'.repeat(2000), '\u0000', '__proto__', new Uint8Array(0)),
  fc.integer(),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.uint8Array({ maxLength: 40 }),
);
const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: leaf },
  { weight: 1, arbitrary: fc.array(fc.oneof(leaf, fc.array(leaf, { maxLength: 4 })), { maxLength: 8 }) },
);

interface Edit {
  readonly path: readonly number[];
  readonly how: 'replace' | 'drop' | 'append' | 'repeat';
  readonly value: unknown;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  path: fc.array(fc.nat(8), { minLength: 1, maxLength: 5 }),
  how: fc.constantFrom('replace', 'replace', 'replace', 'drop', 'append', 'repeat'),
  value: anyValue,
});

/** The body with one place of it changed; positions are taken modulo what there is. */
function edited(body: unknown, { path, how, value }: Edit): unknown {
  if (!Array.isArray(body) || body.length === 0 || path.length === 0) return how === 'replace' ? value : body;
  const elements = [...(body as unknown[])];
  const at = path[0]! % elements.length;
  if (path.length > 1 && Array.isArray(elements[at])) {
    elements[at] = edited(elements[at], { path: path.slice(1), how, value });
    return elements;
  }
  if (how === 'replace') elements[at] = value;
  else if (how === 'drop') elements.splice(at, 1);
  else if (how === 'append') elements.push(value);
  else elements.splice(at, 0, elements[at]);
  return elements;
}

// --- Targets -------------------------------------------------------------------------------------------------------

const strangers: Target = {
  name: 'peer-strangers',
  about: 'whatever is sent before a proof: damaged upgrades, frames and handshakes',
  open: async () => {
    const hello = (host: Host): Buffer =>
      framed(
        encode([1, 1, 1, new Uint8Array(32).fill(1), 'visitor', 'f'.repeat(32), host.clusterId, host.id]),
        encode([3, new Uint8Array(32), 1, '']),
      );
    const generated = fc.oneof(
      fc.record({ damages: fc.array(damage, { maxLength: 3 }), before: fc.constant('upgrade'), noise: garbage }),
      fc.record({
        damages: fc.array(damage, { minLength: 1, maxLength: 3 }),
        before: fc.constant('hello'),
        noise: garbage,
      }),
      fc.record({ damages: fc.constant([]), before: fc.constant('nothing'), noise: garbage }),
    );
    return atNode(async (host) =>
      fc.asyncProperty(generated, async ({ damages, before, noise }) => {
        const polite = latin1(hello(host));
        if (before === 'nothing') await throwIn(host.port, bytesOf(noise));
        else if (before === 'upgrade') await throwIn(host.port, bytesOf(damaged(UPGRADE + polite, damages) + noise));
        else await throwIn(host.port, bytesOf(UPGRADE + damaged(polite, damages) + noise));
      }),
    );
  },
};

const frames: Target = {
  name: 'peer-frames',
  about: 'damaged frames and envelopes after a valid handshake',
  open: () =>
    atNode(async (host) => {
      const corpus = await recordCorpus();
      const message = fc.oneof(
        fc.constantFrom(...corpus).map(({ name, body }) => encode([10, 1, name, 50, body])),
        fc.tuple(fc.nat(20), fc.array(leaf, { maxLength: 6 })).map(([tag, parts]) => encode([tag, ...parts])),
        fc.integer({ min: 100, max: 200_000 }).map((length) => new Uint8Array(length).fill(0x91)),
      );
      const generated = fc.record({
        messages: fc.array(message, { minLength: 1, maxLength: 4 }),
        damages: fc.array(damage, { maxLength: 3 }),
        sizes: fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 3 }),
      });
      return fc.asyncProperty(generated, async ({ messages, damages, sizes }) => {
        const visitor = await PeerVisitor.verified(host);
        const bytes = damaged(latin1(framed(...messages)), damages);
        for (const chunk of chunked(bytes, sizes, 50)) visitor.throwIn(bytesOf(chunk));
        await visitor.leave();
      });
    }),
};

const calls: Target = {
  name: 'peer-calls',
  about: 'calls of every message with bodies that are wrong somewhere: each is answered or ends the connection',
  open: () =>
    atNode(async (host) => {
      const corpus = await recordCorpus();
      const heard = fc
        .tuple(fc.constantFrom(...corpus), fc.array(edit, { minLength: 1, maxLength: 3 }))
        .map(([{ name, body }, edits]): Heard => ({ name, body: edits.reduce(edited, body) }));
      const made = fc.record({
        name: fc.constantFrom(...messageNames(), 'no.such', ''),
        body: fc.oneof(anyValue, fc.array(anyValue, { maxLength: 10 })),
      });
      const generated = fc.array(
        fc.record({
          call: fc.oneof({ weight: 3, arbitrary: heard }, { weight: 1, arbitrary: made }),
          remaining: fc.nat(300),
        }),
        { minLength: 1, maxLength: 4 },
      );
      return fc.asyncProperty(generated, async (list) => {
        const visitor = await PeerVisitor.verified(host);
        for (const [callId, { call, remaining }] of list.entries())
          visitor.send(encodeEnvelope({ kind: 'request', callId: callId + 1, ...call, remaining }));
        const open = new Set(list.map((_, index) => index + 1));
        while (open.size > 0) {
          const message = await visitor.next();
          if (message === undefined) break;
          const envelope = decodeEnvelope(message);
          if (envelope.kind !== 'reply' && envelope.kind !== 'refusal') continue;
          if (envelope.kind === 'refusal' && envelope.code === 'internal') broken('no handler fails', envelope.detail);
          if (!open.delete(envelope.callId)) broken('one answer to a call', envelope);
        }
        await visitor.leave();
      });
    }),
};

export const PEER_TARGETS: readonly Target[] = [strangers, frames, calls];
