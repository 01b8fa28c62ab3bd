/** What this room puts on the wire, byte for byte, and what it refuses. */

import { expect, test } from 'vitest';
import { toHex } from '#kernel/bytes.ts';
import { nodeIndex, storageId } from '#kernel/identity.ts';
import { BootMessage, ExchangeMessage, ProbeForMessage, ProbeMessage } from '#membership/messages.ts';
import { decode, encode } from '#wire/codec.ts';

const STORAGE = storageId('00112233445566778899aabbccddeeff');
const TIDINGS = {
  epoch: 7,
  news: [
    { member: nodeIndex(1), standing: 'alive', incarnation: 12_345_678_901_234, from: nodeIndex(1) },
    { member: nodeIndex(300), standing: 'dead', incarnation: 2, from: nodeIndex(1) },
  ],
} as const;
const BOOT = { storage: STORAGE, boot: 9, life: 4_000_000_000, mark: 3 };

function hex(value: unknown): string {
  return toHex(encode(value));
}

test('golden bytes', () => {
  expect(hex(ProbeMessage.encodeRequest(TIDINGS))).toMatchInlineSnapshot(
    `"920792940100cb42a674e79c5fe4000194cd012c020201"`,
  );
  expect(hex(ProbeMessage.encodeReply({ epoch: 1, news: [], wall: 1_767_225_600_000 }))).toMatchInlineSnapshot(
    `"930190cb4279b76daa800000"`,
  );
  expect(hex(ProbeForMessage.encodeRequest({ ...TIDINGS, target: nodeIndex(2) }))).toMatchInlineSnapshot(
    `"930792940100cb42a674e79c5fe4000194cd012c02020102"`,
  );
  expect(hex(ProbeForMessage.encodeReply({ epoch: 1, news: [], reached: true }))).toMatchInlineSnapshot(`"930190c3"`);
  expect(hex(ExchangeMessage.encodeRequest({ epoch: 1, news: [], boots: [BOOT] }))).toMatchInlineSnapshot(
    `"9301909194d920303031313232333334343535363637373838393961616262636364646565666609ceee6b280003"`,
  );
  expect(hex(BootMessage.encodeRequest({ record: BOOT, announces: true }))).toMatchInlineSnapshot(
    `"95d920303031313232333334343535363637373838393961616262636364646565666609ceee6b2800c303"`,
  );
  expect(hex(BootMessage.encodeReply({ known: undefined }))).toMatchInlineSnapshot(`"90"`);
  expect(hex(BootMessage.encodeReply({ known: BOOT }))).toMatchInlineSnapshot(
    `"9194d920303031313232333334343535363637373838393961616262636364646565666609ceee6b280003"`,
  );
});

test('what is sent is what arrives', () => {
  const through = (value: unknown): unknown => decode(encode(value));
  expect(ProbeMessage.decodeRequest(through(ProbeMessage.encodeRequest(TIDINGS)))).toEqual(TIDINGS);
  const reply = { ...TIDINGS, wall: 1_767_225_600_000.5 };
  expect(ProbeMessage.decodeReply(through(ProbeMessage.encodeReply(reply)))).toEqual(reply);
  const request = { ...TIDINGS, target: nodeIndex(2) };
  expect(ProbeForMessage.decodeRequest(through(ProbeForMessage.encodeRequest(request)))).toEqual(request);
  const exchange = { ...TIDINGS, boots: [BOOT] };
  expect(ExchangeMessage.decodeReply(through(ExchangeMessage.encodeReply(exchange)))).toEqual(exchange);
  const boot = { record: BOOT, announces: false };
  expect(BootMessage.decodeRequest(through(BootMessage.encodeRequest(boot)))).toEqual(boot);
  for (const known of [undefined, BOOT]) {
    expect(BootMessage.decodeReply(through(BootMessage.encodeReply({ known })))).toEqual({ known });
  }
});

test('programs that know no marks name none', () => {
  const known = { ...BOOT, mark: 0 };
  const body = [STORAGE, 9, 4_000_000_000];
  expect(BootMessage.decodeRequest([...body, true])).toEqual({ record: known, announces: true });
  expect(BootMessage.decodeReply([body])).toEqual({ known });
  expect(ExchangeMessage.decodeRequest([1, [], [body]])).toEqual({ epoch: 1, news: [], boots: [known] });
});

test('programs that do not tell their time leave it out', () => {
  expect(ProbeMessage.decodeReply([1, []])).toEqual({ epoch: 1, news: [], wall: undefined });
});

test('what does not fit is refused', () => {
  expect(() => ProbeMessage.decodeRequest([1])).toThrow('tidings');
  expect(() => ProbeMessage.decodeRequest([1, [[1, 4, 1, 1]]])).toThrow('standing');
  expect(() => ProbeMessage.decodeRequest([1, [[70_000, 0, 1, 1]]])).toThrow('member');
  expect(() => BootMessage.decodeRequest(['xyz', 1, 1, true])).toThrow('storage id');
  expect(() => BootMessage.decodeRequest([STORAGE, 1, 1, true, -1])).toThrow('mark');
});
