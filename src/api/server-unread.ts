/**
 * Large answers that their clients are slow to take. Each stays in memory until the operating system has taken it, so clients that ask
 * and do not read could fill a node's memory without ever being many. All of them together have a bound; beyond it the connection
 * that has waited longest is cut, for a client that reads seldom waits for long.
 */

import type { Socket } from 'node:net';
import type { ApiMetrics } from './services.ts';

export class Unread {
  readonly #maxBytes: number;
  readonly #cuts: { add(): void };
  /** Bytes of each, in the order in which they began to wait. */
  readonly #waiting = new Map<Socket, number>();
  #bytes = 0;

  constructor(maxBytes: number, metrics: ApiMetrics) {
    this.#maxBytes = maxBytes;
    metrics.gauge(
      'quoral_http_unread_bytes',
      'Memory taken by large answers that clients are slow to take.',
      () => this.#bytes,
    );
    this.#cuts = metrics.counter(
      'quoral_http_unread_cuts_total',
      'Connections cut because they had waited longest for their clients to read, and all together took too much memory.',
    );
  }

  /** To be called when a large answer was written. Less than what makes a socket ask for a pause is its own buffer's affair. */
  wrote(socket: Socket): void {
    if (socket.destroyed || !socket.writableNeedDrain) return;
    const before = this.#waiting.get(socket);
    const bytes = socket.writableLength;
    if (before === undefined) this.#await(socket);
    this.#waiting.set(socket, bytes);
    this.#bytes += bytes - (before ?? 0);
    while (this.#bytes > this.#maxBytes) this.#cutFirst();
  }

  #await(socket: Socket): void {
    const over = (): void => {
      socket.off('drain', over).off('close', over);
      this.#forget(socket);
    };
    socket.on('drain', over).on('close', over);
  }

  #cutFirst(): void {
    for (const socket of this.#waiting.keys()) {
      this.#forget(socket);
      this.#cuts.add();
      socket.destroy();
      return;
    }
  }

  #forget(socket: Socket): void {
    this.#bytes -= this.#waiting.get(socket) ?? 0;
    this.#waiting.delete(socket);
  }
}
