/**
 * How many connections the client door holds. A process may open only so many files, and each connection is one: when clients take
 * the last of them, the disk, the log and the other nodes go without. So the door keeps to its share. A client beyond that is told
 * so, as its connection is accepted from a small share on top; only what is beyond this too is cut.
 */

import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { outcomeUnread } from './not-applied.ts';
import { Problem } from './problem.ts';
import type { ApiServices } from './services.ts';

/** Connections on top of the bound that are held until their client was told. */
const TOLD_MAX = 64;
/** While it lasts it is told of once in this time. */
const TELL_PAUSE_MS = 60_000;
/** Whoever looks whether the node is well must not take it for dead because of others. */
const ALWAYS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/healthz', '/metrics']);

export class Crowd {
  readonly #services: Pick<ApiServices, 'clock' | 'log'>;
  readonly #max: number;
  readonly #refused: { add(): void };
  readonly #beyond = new WeakSet<Socket>();
  #open = 0;
  #toldAt = -Infinity;

  constructor(services: Pick<ApiServices, 'clock' | 'log' | 'metrics'>, max: number) {
    const { metrics } = services;
    this.#services = services;
    this.#max = max;
    metrics.gauge('quoral_http_connections', 'Connections of clients.', () => this.#open);
    metrics.gauge('quoral_http_connections_limit', 'Connections of clients that the door holds.', () => max);
    const help = 'Connections of clients beyond those that the door holds: told so, or cut.';
    this.#refused = metrics.counter('quoral_http_connections_refused_total', help);
  }

  /** Counts what is brought to this server from now on. */
  watch(server: Server): void {
    server.on('connection', (socket) => {
      this.#open += 1;
      socket.once('close', () => (this.#open -= 1));
    });
  }

  /** Whether one more connection is to be cut, which counts as refused. */
  cuts(): boolean {
    const isFull = this.#open >= this.#max + Math.min(TOLD_MAX, Math.ceil(this.#max / 4));
    if (isFull) this.#refuse();
    return isFull;
  }

  /** To be called when a connection can bring requests. */
  greet(socket: Socket): void {
    if (this.#open <= this.#max) return;
    this.#beyond.add(socket);
    this.#refuse();
  }

  isBeyond(socket: Socket): boolean {
    return this.#beyond.has(socket);
  }

  /** What a request gets that came on a connection too many; its answer is to be the last one there. */
  refusal({ socket, method = '', url = '', headers }: IncomingMessage): Problem | undefined {
    if (!this.isBeyond(socket) || ALWAYS.has(url)) return undefined;
    const detail = `this node holds ${this.#max} connections of clients, and all are in use`;
    const [path = ''] = url.split('?', 1);
    return new Problem('overloaded', detail, outcomeUnread(method, path, headers['idempotency-key']));
  }

  #refuse(): void {
    const { clock, log } = this.#services;
    this.#refused.add();
    if (clock.monotonic() - this.#toldAt < TELL_PAUSE_MS) return;
    this.#toldAt = clock.monotonic();
    const reason =
      'more clients are connected than the door holds; it holds fewer where the limit of open files is low';
    log.warn('connections-refused', { max: this.#max, reason });
  }
}
