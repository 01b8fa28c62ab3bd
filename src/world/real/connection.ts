/**
 * A connection over an upgraded socket: queueing, coalescing and backpressure on the way out, frames on the way in, and
 * an end that both sides can explain.
 */

import type { Duplex } from 'node:stream';
import { assert } from '#kernel/assert.ts';
import type { Pieces } from '#kernel/pieces.ts';
import { MAX_MESSAGE_BYTES, MAX_QUEUED_BYTES } from '#world/limits.ts';
import type { Channel, Connection, ConnectionEvents } from '#world/world.ts';
import { FrameReader, type ReassemblyBudget } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { certifierOf } from './tls.ts';

/** How long a closing connection may take to deliver what is queued and to hear the other end's good-bye. */
const CLOSING_MS = 1000;

export class SocketConnection implements Connection {
  readonly channel: Channel;
  readonly remote: string;
  readonly certifies: ((name: string) => boolean) | undefined;
  readonly #socket: Duplex;
  readonly #writer = new FrameWriter();
  readonly #reader: FrameReader;
  #events: ConnectionEvents | undefined;
  #closed = false;
  /** The socket holds as much as it wants; `drain` will tell. */
  #blocked = false;
  #flushScheduled = false;

  constructor(socket: Duplex, channel: Channel, remote: string, budget: ReassemblyBudget) {
    this.channel = channel;
    this.remote = remote;
    this.certifies = certifierOf(socket);
    this.#socket = socket;
    this.#reader = new FrameReader(budget, {
      message: (message) => this.#events!.message(message),
      takesLarge: () => this.#events!.takesLarge?.() !== false,
      closing: (reason) => this.#lost(`closed by the other end: ${reason}`),
      violation: (reason) => this.close(`protocol violation: ${reason}`),
    });
  }

  /** Begins to deliver events; `head` is what came behind the handshake. To be called in the turn of the upgrade. */
  start(events: ConnectionEvents, head: Uint8Array): void {
    this.#events = events;
    const socket = this.#socket;
    socket.on('error', (error: NodeJS.ErrnoException) => this.#lost(`connection lost: ${error.code ?? error.message}`));
    socket.on('end', () => this.#lost('the other end went away'));
    socket.on('close', () => this.#lost('the other end went away'));
    socket.on('drain', () => {
      this.#blocked = false;
      if (!this.#closed) events.moved?.();
      this.flush();
    });
    if (this.#closed) return;
    if (head.length > 0) this.#reader.push(head);
    if (this.#closed) return;
    socket.on('data', (chunk: Uint8Array) => {
      events.moved?.();
      this.#reader.push(chunk);
    });
  }

  get queuedBytes(): number {
    return this.#closed ? 0 : this.#writer.queuedBytes + this.#socket.writableLength;
  }

  get gathered(): number {
    return this.#flushScheduled && !this.#blocked ? this.#writer.smallMessages : 0;
  }

  send(message: Uint8Array | Pieces, until?: number): void {
    assert(message.length <= MAX_MESSAGE_BYTES, `message of ${message.length} bytes, allowed are ${MAX_MESSAGE_BYTES}`);
    if (this.#closed) return;
    this.#writer.add(message, until);
    if (this.#writer.queuedBytes > MAX_QUEUED_BYTES) {
      this.close(`the other end does not read: more than ${MAX_QUEUED_BYTES} bytes are waiting for it`);
    } else if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      setImmediate(() => {
        this.#flushScheduled = false;
        this.flush();
      });
    }
  }

  flush(): void {
    while (!this.#closed && !this.#blocked && !this.#writer.empty) {
      this.#write(this.#writer.next(performance.now()));
      // What the operating system took at once is no reason to wait.
      this.#blocked = this.#socket.writableNeedDrain && this.#socket.writableLength > 0;
    }
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#writer.dropLarge();
    while (!this.#writer.empty) this.#write(this.#writer.next(performance.now()));
    this.#write(this.#writer.closing(reason));
    this.#socket.end();
    this.#end(reason);
    // Reading on lets the other end's good-bye through; unread bytes would turn this one into a reset.
    this.#socket.removeAllListeners('data');
    this.#socket.resume();
    const timer = setTimeout(() => this.#socket.destroy(), CLOSING_MS).unref();
    // Nobody is waited for any more, and nothing of the connection need be kept for that.
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #write(pieces: readonly Uint8Array[]): void {
    if (pieces.length === 0) return;
    if (pieces.length === 1) {
      this.#socket.write(pieces[0]!);
      return;
    }
    this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    this.#socket.uncork();
  }

  #lost(reason: string): void {
    this.#socket.destroy();
    this.#end(reason);
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.stop();
    queueMicrotask(() => this.#events!.closed(reason));
  }
}
