import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compareBytes, concatBytes, utf8 } from '#kernel/bytes.ts';
import { Pieces } from '#kernel/pieces.ts';
import { LARGE_MESSAGE_BYTES, MAX_MESSAGE_BYTES } from '#world/limits.ts';
import { NetworkError, type Channel, type Connection, type Listener, type PeerAddress } from '#world/world.ts';
import { WORLDS, type Machine, type WorldUnderTest } from './worlds.ts';

/** One end of a connection and what happened at it. */
class End {
  readonly connection: Connection;
  readonly messages: Uint8Array[] = [];
  readonly closedWith: string[] = [];
  onMessage: (message: Uint8Array) => void = () => {};

  constructor(connection: Connection) {
    this.connection = connection;
  }

  message(message: Uint8Array): void {
    // Stands in the list of reasons, where no test expects it.
    if (this.closedWith.length > 0) this.closedWith.push('a message after closed');
    this.messages.push(message);
    this.onMessage(message);
  }

  closed(reason: string): void {
    this.closedWith.push(reason);
  }

  texts(): string[] {
    return this.messages.map((message) => new TextDecoder().decode(message));
  }
}

function patterned(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + (i >>> 9) + seed) & 0xff;
  return bytes;
}

describe.each(WORLDS)('the network of the %s world', (_name, make) => {
  let world: WorldUnderTest;
  let server: Machine;
  let client: Machine;
  let listener: Listener;
  let accepted: End[];

  beforeEach(async () => {
    world = make();
    server = world.machine();
    client = world.machine();
    accepted = [];
    listener = await world.settle(
      server.network.listen((connection) => {
        const end = new End(connection);
        accepted.push(end);
        return end;
      }),
    );
  });

  afterEach(async () => {
    await world.settle(listener.close());
    await world.end();
  });

  async function dial(channel: Channel = 'foreground', address: PeerAddress = listener.address): Promise<End> {
    let end: End | undefined;
    const connected = client.network.connect(address, channel, 5000, (connection) => (end = new End(connection)));
    await world.settle(connected);
    return end!;
  }

  async function pair(channel: Channel = 'foreground'): Promise<[End, End]> {
    const near = await dial(channel);
    await world.until(() => accepted.length === 1);
    return [near, accepted[0]!];
  }

  test.each(['foreground', 'bulk'] as const)('both ends know the channel %s and each other', async (channel) => {
    const [near, far] = await pair(channel);
    expect([near.connection.channel, far.connection.channel]).toEqual([channel, channel]);
    expect(near.connection.remote).toBe(listener.address);
    expect(far.connection.remote).not.toBe('');
  });

  test('messages go both ways, in order, empty ones too', async () => {
    const [near, far] = await pair();
    const sent = Array.from({ length: 500 }, (_, i) => (i % 50 === 0 ? '' : `message ${i}`));
    for (const text of sent) {
      near.connection.send(utf8(text));
      far.connection.send(utf8(`back ${text}`));
    }
    await world.until(() => far.messages.length === 500 && near.messages.length === 500);
    expect(far.texts()).toEqual(sent);
    expect(near.texts()).toEqual(sent.map((text) => `back ${text}`));
  });

  test('what is sent in accept and in open arrives', async () => {
    await world.settle(listener.close());
    const far: End[] = [];
    listener = await world.settle(
      server.network.listen((connection) => {
        connection.send(utf8('hello from the door'));
        connection.send(patterned(LARGE_MESSAGE_BYTES + 1, 1));
        far.push(new End(connection));
        return far[0]!;
      }),
    );
    let near: End | undefined;
    const connected = client.network.connect(listener.address, 'bulk', 5000, (connection) => {
      connection.send(utf8('hello from the dialer'));
      return (near = new End(connection));
    });
    await world.settle(connected);
    await world.until(() => near!.messages.length === 2 && far[0]?.messages.length === 1);
    expect(near!.texts()[0]).toBe('hello from the door');
    expect(far[0]!.texts()).toEqual(['hello from the dialer']);
  });

  test('a message of the largest size arrives whole', async () => {
    const [near, far] = await pair();
    const message = patterned(MAX_MESSAGE_BYTES, 3);
    near.connection.send(message);
    await world.until(() => far.messages.length === 1);
    expect(compareBytes(far.messages[0]!, message)).toBe(0);
  });

  test('a larger message is a programming error', async () => {
    const [near] = await pair();
    expect(() => near.connection.send(new Uint8Array(MAX_MESSAGE_BYTES + 1))).toThrow(`${MAX_MESSAGE_BYTES + 1} bytes`);
  });

  test('large and small ones mixed: each size class in order, nothing missing, nothing changed', async () => {
    const [near, far] = await pair('bulk');
    const sizes = [10, 2_000_000, 0, LARGE_MESSAGE_BYTES, LARGE_MESSAGE_BYTES + 1, 70_000, 5, 8_000_000, 9000, 100];
    const sent = sizes.map((size, i) => patterned(size, i));
    for (const message of sent) near.connection.send(message);
    await world.until(() => far.messages.length === sent.length);
    const classes = (messages: readonly Uint8Array[]) => [
      messages.filter((message) => message.length <= LARGE_MESSAGE_BYTES),
      messages.filter((message) => message.length > LARGE_MESSAGE_BYTES),
    ];
    const [got, expected] = [classes(far.messages).flat(), classes(sent).flat()];
    expect(got.map((message) => message.length)).toEqual(expected.map((message) => message.length));
    got.forEach((message, i) => expect(compareBytes(message, expected[i]!)).toBe(0));
  });

  test('a message in pieces arrives as one, as a copy, and counts as so many bytes', async () => {
    const [near, far] = await pair();
    const parts = [5, 40_000, 0, 300, 3_000_000, 7].map((size, i) => patterned(size, i));
    const whole = concatBytes(parts);
    for (const message of [new Pieces(parts.slice(0, 4)), new Pieces(parts)]) near.connection.send(message);
    await world.until(() => far.messages.length === 2);
    expect(compareBytes(far.messages[0]!, whole.subarray(0, 40_305))).toBe(0);
    expect(compareBytes(far.messages[1]!, whole)).toBe(0);
    for (const message of far.messages) message.fill(0);
    expect(compareBytes(concatBytes(parts), whole)).toBe(0);
    expect(() => near.connection.send(new Pieces([new Uint8Array(MAX_MESSAGE_BYTES), parts[0]!]))).toThrow(
      `${MAX_MESSAGE_BYTES + 5} bytes`,
    );
  });

  test('the receiver owns its copy', async () => {
    const [near, far] = await pair();
    const message = utf8('original');
    near.connection.send(message);
    near.connection.send(message);
    await world.until(() => far.messages.length === 2);
    far.messages[0]!.fill(0);
    expect(far.texts()[1]).toBe('original');
    expect(new TextDecoder().decode(message)).toBe('original');
  });

  test('flush may be called at any time, and the queue becomes empty', async () => {
    const [near, far] = await pair();
    near.connection.flush();
    for (let i = 0; i < 20; i++) near.connection.send(patterned(500_000, i));
    near.connection.send(utf8('x'));
    near.connection.flush();
    await world.until(() => far.messages.length === 21);
    await world.until(() => near.connection.queuedBytes === 0);
  });

  test('messages of a turn are counted until they leave, and those of the other end are not', async () => {
    const [near, far] = await pair();
    expect(near.connection.gathered).toBe(0);
    far.onMessage = (message) => {
      const before = far.connection.gathered;
      for (let i = 1; i <= 3; i++) {
        far.connection.send(message);
        counts.push(far.connection.gathered - before);
      }
    };
    const counts: number[] = [];
    near.connection.send(utf8('x'));
    await world.until(() => near.messages.length === 3);
    expect(counts).toEqual([1, 2, 3]);
    await world.settle(new Promise<void>((resolve) => void client.clock.after(1, resolve)));
    expect([near.connection.gathered, far.connection.gathered]).toEqual([0, 0]);
  });

  test('a reply can be sent from within message', async () => {
    const [near, far] = await pair();
    far.onMessage = (message) => {
      far.connection.send(message);
      far.connection.flush();
    };
    for (let i = 0; i < 100; i++) near.connection.send(utf8(`${i}`));
    await world.until(() => near.messages.length === 100);
    expect(near.texts()).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
  });

  test.each(['dialer', 'acceptor'])(
    'closed by the %s: both ends are told once, small messages before it arrive',
    async (who) => {
      const ends = await pair();
      const [closing, other] = who === 'dialer' ? ends : ends.toReversed();
      closing!.connection.send(utf8('last words'));
      closing!.connection.close('wrong cluster');
      expect(closing!.closedWith, 'not from within close').toEqual([]);
      closing!.connection.close('again');
      closing!.connection.send(utf8('too late'));
      closing!.connection.flush();
      await world.until(() => ends.every((end) => end.closedWith.length > 0));
      expect(closing!.closedWith).toEqual(['wrong cluster']);
      expect(other!.closedWith).toEqual(['closed by the other end: wrong cluster']);
      expect(other!.texts()).toEqual(['last words']);
      expect(closing!.connection.queuedBytes).toBe(0);
      other!.connection.send(utf8('nobody hears'));
      other!.connection.close('in vain');
      await world.settle(new Promise<void>((resolve) => void client.clock.after(20, resolve)));
      expect(ends.map((end) => end.closedWith.length)).toEqual([1, 1]);
    },
  );

  test('no message comes after a close from within message', async () => {
    const [near, far] = await pair();
    far.onMessage = () => far.connection.close('enough');
    for (let i = 0; i < 10; i++) near.connection.send(utf8(`${i}`));
    await world.until(() => near.closedWith.length === 1 && far.closedWith.length === 1);
    expect(far.texts()).toEqual(['0']);
  });

  test('close from within open and accept', async () => {
    let end: End | undefined;
    const connected = client.network.connect(listener.address, 'foreground', 5000, (connection) => {
      connection.close('changed my mind');
      return (end = new End(connection));
    });
    await world.settle(connected);
    await world.until(() => end!.closedWith.length === 1 && accepted[0]?.closedWith.length === 1);
    expect(end!.closedWith).toEqual(['changed my mind']);
  });

  test('a closed door refuses, and its connections are closed on both ends', async () => {
    const [near, far] = await pair();
    const { address } = listener;
    await world.settle(listener.close());
    await world.until(() => near.closedWith.length === 1 && far.closedWith.length === 1);
    expect(near.closedWith[0]).toContain('the peer door is closing');
    await expect(dial('foreground', address)).rejects.toThrow(/cannot connect to .*refused/);
  });

  test('a connection that is refused says so', async () => {
    const address = await world.refusingAddress();
    const attempt = dial('foreground', address);
    await expect(attempt).rejects.toThrow(NetworkError);
    await expect(attempt).rejects.toThrow(`cannot connect to ${address}: the connection was refused`);
  });

  test('silence ends with the timeout', async () => {
    const address = await world.silentAddress();
    const attempt = client.network.connect(address, 'foreground', 80, () => expect.unreachable());
    await expect(world.settle(attempt)).rejects.toThrow(`cannot connect to ${address}: no answer within 80 ms`);
  });

  test('several connections between the same two live their own lives', async () => {
    const ends = [await dial('foreground'), await dial('bulk'), await dial('foreground')];
    await world.until(() => accepted.length === 3);
    ends[0]!.connection.close('only this one');
    for (const end of ends) end.connection.send(utf8(end.connection.channel));
    await world.until(() => accepted.filter((end) => end.messages.length === 1).length === 2);
    await world.until(() => accepted.filter((end) => end.closedWith.length === 1).length === 1);
    expect(accepted.flatMap((end) => end.texts()).toSorted()).toEqual(['bulk', 'foreground']);
  });
});
