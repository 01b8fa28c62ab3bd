import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareBytes, concatBytes, toHex, utf8 } from '#kernel/bytes.ts';
import { Pieces } from '#kernel/pieces.ts';
import { LARGE_MESSAGE_BYTES, MAX_MESSAGE_BYTES } from '#world/limits.ts';
import { FrameReader, ReassemblyBudget } from '#world/real/frame-reader.ts';
import { FrameWriter } from '#world/real/frame-writer.ts';

const BUDGET = 4 * MAX_MESSAGE_BYTES;

/** Reads everything and tells what came out. */
function reader(budget = new ReassemblyBudget(BUDGET)) {
  const messages: Uint8Array[] = [];
  const ends: string[] = [];
  const frames = new FrameReader(budget, {
    message: (message) => messages.push(message),
    closing: (reason) => ends.push(`closing: ${reason}`),
    violation: (reason) => ends.push(`violation: ${reason}`),
  });
  return { frames, messages, ends, budget };
}

function drain(writer: FrameWriter): Uint8Array {
  const pieces: Uint8Array[] = [];
  while (!writer.empty) pieces.push(...writer.next(0));
  return concatBytes(pieces);
}

function patterned(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) + seed) & 0xff;
  return bytes;
}

function sameMessages(got: readonly Uint8Array[], sent: readonly Uint8Array[]): void {
  expect(got.map((m) => m.length)).toEqual(sent.map((m) => m.length));
  got.forEach((message, i) => expect(compareBytes(message, sent[i]!)).toBe(0));
}

describe('format', () => {
  test('small messages and a reason have these bytes', () => {
    const writer = new FrameWriter();
    writer.add(utf8('ab'));
    writer.add(new Uint8Array(0));
    expect(toHex(drain(writer))).toBe('01000002' + '6162' + '01000000');
    expect(toHex(concatBytes(writer.closing('bye')))).toBe('04000003627965');
  });

  test('a large message has these headers', () => {
    const writer = new FrameWriter();
    writer.add(new Uint8Array(LARGE_MESSAGE_BYTES + 3));
    const bytes = drain(writer);
    expect(toHex(bytes.subarray(0, 8))).toBe('0201000000010003');
    expect(toHex(bytes.subarray(8 + LARGE_MESSAGE_BYTES))).toBe('03000003000000');
  });
});

describe('writer', () => {
  test('small messages leave in one batch, in order, before a chunk of a large one', () => {
    const writer = new FrameWriter();
    const large = patterned(3 * LARGE_MESSAGE_BYTES);
    writer.add(large);
    writer.add(utf8('one'));
    const { frames, messages } = reader();
    for (const piece of writer.next(0)) frames.push(piece);
    writer.add(utf8('two'));
    for (const piece of writer.next(0)) frames.push(piece);
    sameMessages(messages, [utf8('one'), utf8('two')]);
    frames.push(drain(writer));
    sameMessages(messages, [utf8('one'), utf8('two'), large]);
  });

  test('payloads of large messages are not copied', () => {
    const writer = new FrameWriter();
    const large = patterned(LARGE_MESSAGE_BYTES + 1);
    writer.add(large);
    const [header, chunk] = writer.next(0);
    expect(header!.length).toBe(8);
    expect(chunk!.buffer).toBe(large.buffer);
  });

  test('a message in pieces leaves as the same bytes in one, and its large pieces are not copied', () => {
    const part = fc.oneof(
      fc.nat(300),
      fc.integer({ min: 8000, max: 9000 }),
      fc.integer({ min: LARGE_MESSAGE_BYTES - 300, max: LARGE_MESSAGE_BYTES + 300 }),
    );
    fc.assert(
      fc.property(fc.array(fc.array(part, { maxLength: 5 }), { maxLength: 4 }), (messages) => {
        const plain = new FrameWriter();
        const inPieces = new FrameWriter();
        const large: ArrayBufferLike[] = [];
        for (const lengths of messages) {
          const parts = lengths.map((length, i) => patterned(length, i));
          large.push(...parts.filter(({ length }) => length > 9000).map(({ buffer }) => buffer));
          plain.add(concatBytes(parts));
          inPieces.add(new Pieces(parts));
          expect(inPieces.queuedBytes).toBe(plain.queuedBytes);
        }
        const left: Uint8Array[] = [];
        while (!inPieces.empty) left.push(...inPieces.next(0));
        expect(compareBytes(concatBytes(left), drain(plain))).toBe(0);
        expect(inPieces.queuedBytes).toBe(0);
        for (const buffer of large) expect(left.some((piece) => piece.buffer === buffer)).toBe(true);
      }),
    );
  });

  test('a piece that was handed out is never written again', () => {
    const writer = new FrameWriter();
    writer.add(utf8('first'));
    const first = writer.next(0);
    const before = toHex(concatBytes(first));
    for (let i = 0; i < 20_000; i++) {
      writer.add(utf8(`message ${i}`));
      writer.next(0);
    }
    expect(toHex(concatBytes(first))).toBe(before);
  });

  test('counts what is queued and forgets large messages', () => {
    const writer = new FrameWriter();
    writer.add(new Uint8Array(100));
    writer.add(new Uint8Array(LARGE_MESSAGE_BYTES + 1));
    expect(writer.queuedBytes).toBe(LARGE_MESSAGE_BYTES + 101);
    writer.dropLarge();
    expect(writer.queuedBytes).toBe(100);
    drain(writer);
    expect(writer.queuedBytes).toBe(0);
    writer.add(new Uint8Array(LARGE_MESSAGE_BYTES + 1));
    writer.next(0);
    expect(writer.queuedBytes).toBe(1);
  });

  test('a burst of small messages cannot keep a large one waiting', () => {
    const writer = new FrameWriter();
    writer.add(new Uint8Array(2 * LARGE_MESSAGE_BYTES));
    for (let i = 0; i < 1000; i++) writer.add(new Uint8Array(1024));
    const { frames, messages } = reader();
    for (const piece of writer.next(0)) frames.push(piece);
    for (const piece of writer.next(0)) frames.push(piece);
    expect(messages.length).toBeLessThan(1000);
    expect(messages.at(-1)!.length).toBe(2 * LARGE_MESSAGE_BYTES);
  });
});

describe('reader', () => {
  const sizes = fc.oneof(
    { weight: 6, arbitrary: fc.nat(300) },
    { weight: 2, arbitrary: fc.integer({ min: 8000, max: 9000 }) },
    { weight: 1, arbitrary: fc.integer({ min: LARGE_MESSAGE_BYTES - 1, max: LARGE_MESSAGE_BYTES + 2 }) },
    { weight: 1, arbitrary: fc.nat(4 * LARGE_MESSAGE_BYTES) },
  );

  test('whatever the pieces of the stream, the messages come out, each size class in order', () => {
    fc.assert(
      fc.property(
        fc.array(sizes, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 20 }),
        (lengths, cuts) => {
          const sent = lengths.map((length, i) => patterned(length, i));
          const writer = new FrameWriter();
          for (const message of sent) writer.add(message);
          const stream = drain(writer);
          const { frames, messages, ends, budget } = reader();
          for (let at = 0, i = 0; at < stream.length; i++) {
            const end = at + cuts[i % cuts.length]!;
            frames.push(stream.subarray(at, end));
            at = end;
          }
          expect(ends).toEqual([]);
          const small = (m: Uint8Array) => m.length <= LARGE_MESSAGE_BYTES;
          sameMessages(messages, [...sent.filter(small), ...sent.filter((m) => !small(m))]);
          expect(budget.usedBytes).toBe(0);
        },
      ),
    );
  });

  test('byte by byte', () => {
    const writer = new FrameWriter();
    const sent = [utf8('a'), new Uint8Array(0), patterned(300)];
    for (const message of sent) writer.add(message);
    const { frames, messages, ends } = reader();
    for (const byte of concatBytes([drain(writer), ...writer.closing('done')])) frames.push(Uint8Array.of(byte));
    sameMessages(messages, sent);
    expect(ends).toEqual(['closing: done']);
  });

  test('each message has bytes of its own', () => {
    const { frames, messages } = reader();
    const received = Buffer.concat([Buffer.from('01000002', 'hex'), Buffer.from('ab'), Buffer.alloc(60_000)]);
    frames.push(received.subarray(0, 6));
    received.fill(0);
    expect(messages).toEqual([utf8('ab')]);
    expect(messages[0]!.buffer.byteLength).toBeLessThanOrEqual(32 * 1024);
    expect(Object.getPrototypeOf(messages[0])).toBe(Uint8Array.prototype);
  });

  const large = '0201000000020000' + '00'.repeat(LARGE_MESSAGE_BYTES);
  test.each([
    ['frame of unknown kind 0', '00000000'],
    ['frame of unknown kind 71', '474554202f20485454502f312e31'],
    ['whole frame of 65537 bytes, allowed are 65536', '01010001'],
    ['message of 65536 bytes cut into chunks', '0201000000010000'],
    ['first chunk of 1 bytes instead of 65536', '0200000100020000'],
    ['message of 67108865 bytes, allowed are 67108864', '0201000004000001'],
    ['message of 4294967295 bytes, allowed are 67108864', '02010000ffffffff'],
    ['a chunk that belongs to no message', '03000001'],
    ['chunk of 1 bytes instead of 65536', large + '03000001'],
    ['a large message inside another', large + '0201000000020000'],
    ['close frame of 513 bytes, allowed are 512', '04000201'],
  ])('refuses: %s', (reason, hex) => {
    const { frames, messages, ends, budget } = reader();
    frames.push(Buffer.from(hex, 'hex'));
    frames.push(Buffer.from('0100000161', 'hex'));
    expect(ends).toEqual([`violation: ${reason}`]);
    expect(messages).toEqual([]);
    expect(budget.usedBytes).toBe(0);
  });

  test('large messages share a budget, which an ended connection gives back', () => {
    const budget = new ReassemblyBudget(3 * LARGE_MESSAGE_BYTES);
    const first = reader(budget);
    const second = reader(budget);
    first.frames.push(Buffer.from('0201000000020000', 'hex'));
    expect(budget.usedBytes).toBe(2 * LARGE_MESSAGE_BYTES);
    second.frames.push(Buffer.from('0201000000020000', 'hex'));
    expect(second.ends).toEqual(['violation: too many large messages at once']);
    first.frames.stop();
    expect(budget.usedBytes).toBe(0);
  });

  test('a reason is made safe to print', () => {
    const { frames, ends } = reader();
    frames.push(Buffer.from('04000004' + '610aff1b', 'hex'));
    expect(ends).toEqual(['closing: a???']);
  });

  test('nothing comes out after a consumer stopped the reader', () => {
    const got: Uint8Array[] = [];
    const frames = new FrameReader(new ReassemblyBudget(0), {
      message: (message) => {
        got.push(message);
        frames.stop();
      },
      closing: () => expect.unreachable(),
      violation: () => expect.unreachable(),
    });
    frames.push(Buffer.from('0100000161'.repeat(3), 'hex'));
    expect(got.length).toBe(1);
  });

  test('garbage never throws and never claims more than the budget', () => {
    const frameLike = fc
      .tuple(fc.integer({ min: 0, max: 5 }), fc.uint8Array({ maxLength: 40 }))
      .map(([kind, rest]) => Uint8Array.of(kind, 0, ...rest));
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.uint8Array({ maxLength: 200 }), frameLike)), (chunks) => {
        const { frames, ends, budget } = reader();
        for (const chunk of chunks) frames.push(chunk);
        expect(ends.length).toBeLessThanOrEqual(1);
        expect(budget.usedBytes).toBeLessThanOrEqual(BUDGET);
        if (ends.length === 1) expect(budget.usedBytes).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});

describe('what nobody wants any more', () => {
  const take = (writer: FrameWriter, now: number): readonly Uint8Array[] => {
    const { frames, messages } = reader();
    while (!writer.empty) for (const piece of writer.next(now)) frames.push(piece);
    expect(writer.queuedBytes).toBe(0);
    return messages;
  };

  test('does not leave, and what is wanted does', () => {
    const writer = new FrameWriter();
    const [wanted, late] = [patterned(2 * LARGE_MESSAGE_BYTES), patterned(2 * LARGE_MESSAGE_BYTES, 1)];
    for (const [message, until] of [
      [utf8('late'), 10],
      [utf8('wanted'), 11],
      [utf8('always')],
      [late, 10],
      [wanted, 11],
    ] as const)
      writer.add(message, until);
    sameMessages(take(writer, 10), [utf8('wanted'), utf8('always'), wanted]);
  });

  test('comes to its end when it has begun to leave', () => {
    const writer = new FrameWriter();
    const [begun, late] = [patterned(3 * LARGE_MESSAGE_BYTES), patterned(2 * LARGE_MESSAGE_BYTES, 1)];
    writer.add(begun, 10);
    writer.add(late, 10);
    const { frames, messages } = reader();
    for (const piece of writer.next(9)) frames.push(piece);
    while (!writer.empty) for (const piece of writer.next(20)) frames.push(piece);
    sameMessages(messages, [begun]);
  });
});
