/** A visitor at a node's door for peers, over a bare socket: it can be as polite or as rude as a test wants. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { randomBytes } from 'node:crypto';
import { nodeId } from '#kernel/identity.ts';
import { encodeEnvelope, decodeEnvelope, type HandshakeEnvelope } from '#wire/envelope.ts';
import { dialerHandshake, PROTOCOL_VERSIONS } from '#wire/handshake.ts';
import { digest } from '#world/digest.ts';
import { FrameReader, ReassemblyBudget } from '#world/real/frame-reader.ts';
import { FrameWriter } from '#world/real/frame-writer.ts';

export const UPGRADE =
  'GET /peer HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: quoral/1\r\nquoral-channel: foreground\r\n\r\n';

/** How long a node may keep a visitor waiting: longer than it gives one to prove itself. */
const SILENCE_MAX_MS = 20_000;

/** The bytes of these messages as they travel. */
export function framed(...messages: readonly Uint8Array[]): Buffer {
  const writer = new FrameWriter();
  for (const message of messages) writer.add(message);
  const pieces: Uint8Array[] = [];
  while (!writer.empty) pieces.push(...writer.next(0));
  return Buffer.concat(pieces);
}

/** Sends bytes, says that nothing more will come, and waits until the other end closes. */
export async function throwIn(port: number, bytes: Uint8Array): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  socket.on('data', () => undefined);
  socket.on('end', () => socket.destroy());
  socket.end(bytes);
  await closedInTime(socket);
}

async function closedInTime(socket: Socket): Promise<void> {
  let late = false;
  socket.setTimeout(SILENCE_MAX_MS, () => {
    late = true;
    socket.destroy();
  });
  if (!socket.closed) await once(socket, 'close');
  if (late) throw new Error(`the door for peers kept a connection open and silent for ${SILENCE_MAX_MS} ms`);
}

export interface Host {
  readonly id: string;
  readonly port: number;
  readonly clusterId: string;
  readonly secret: Uint8Array;
}

export class PeerVisitor {
  readonly #socket: Socket;
  readonly #messages: Uint8Array[] = [];
  #wake: () => void = () => undefined;
  /** Why the node has closed, if it said so. */
  #end = 'without a reason';

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Upgraded, and no more than that. */
  static async upgraded(port: number): Promise<PeerVisitor> {
    const socket = connect({ port, host: '127.0.0.1' });
    const visitor = new PeerVisitor(socket);
    socket.on('error', () => undefined);
    socket.write(UPGRADE);
    let head = Buffer.alloc(0);
    while (!head.includes('\r\n\r\n')) {
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      head = Buffer.concat([head, chunk]);
    }
    const reader = new FrameReader(new ReassemblyBudget(64 * 1024 * 1024), {
      message: (message) => visitor.#take(message),
      closing: (reason) => {
        visitor.#end = reason;
        socket.destroy();
      },
      violation: (reason) => socket.destroy(new Error(reason)),
    });
    socket.on('data', (chunk) => reader.push(chunk));
    socket.on('close', () => visitor.#wake());
    socket.setTimeout(SILENCE_MAX_MS, () => socket.destroy());
    reader.push(head.subarray(head.indexOf('\r\n\r\n') + 4));
    return visitor;
  }

  /** One that knows the secret and has proved it, under a name of its own. */
  static async verified({ id, port, clusterId, secret }: Host): Promise<PeerVisitor> {
    const visitor = await PeerVisitor.upgraded(port);
    const handshake = dialerHandshake(
      {
        self: { id: nodeId('visitor'), storageId: 'f'.repeat(32), clusterId },
        epoch: 1,
        founders: '',
        secret,
        nonce: randomBytes(32),
        digest,
        versions: PROTOCOL_VERSIONS,
      },
      nodeId(id),
    );
    visitor.send(encodeEnvelope(handshake.first()!));
    for (;;) {
      const message = await visitor.next();
      if (message === undefined) throw new Error(`the handshake was broken off: ${visitor.#end}`);
      const step = handshake.receive(decodeEnvelope(message) as HandshakeEnvelope);
      if (step.kind === 'refused') throw new Error(`refused: ${step.reason}: ${step.detail}`);
      if (step.send !== undefined) visitor.send(encodeEnvelope(step.send));
      if (step.kind === 'verified') return visitor;
    }
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  send(...messages: readonly Uint8Array[]): void {
    this.throwIn(framed(...messages));
  }

  throwIn(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** The next message; undefined when the connection has ended. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined || this.closed) return message;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Says that nothing more will come, and waits until the node has let go. */
  async leave(): Promise<void> {
    this.#socket.end();
    await closedInTime(this.#socket);
  }

  #take(message: Uint8Array): void {
    this.#messages.push(message);
    this.#wake();
  }
}
