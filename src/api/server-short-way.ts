/**
 * The short way out ahead of the HTTP parser. Node's parser with the objects that come of it is more than half of what it costs to
 * turn a request away, and in a storm most requests are. So connections on which that has happened once are read here from then on:
 * bytes that are one plain request (`whole-request`) are answered at once while there is no room, and everything else goes to Node's
 * own reader as it came.
 *
 * That needs to know that the parser stands between two requests. A connection is in step when the last bytes were either
 * answered here or one plain request that was handed on; anything else takes it out of step, and it is brought back by a plain
 * request in which the parser has found just that.
 *
 * How it is done: Node's server reads sockets past JavaScript until somebody listens for their data; then its own listener
 * gets the bytes, and that listener is what stands behind this one.
 *
 * Clients that repeat at once what was turned away would get the node's time for nothing, however many they are. So when many times as
 * much is turned away as is answered, connections are left alone for a while after their answer: the next request waits unread. Who
 * is patient notices nothing of it.
 */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { ApiClock, ApiMetrics } from './services.ts';
import type { TurnAway } from './turn-away.ts';
import { wholeRequest, type WholeRequest } from './whole-request.ts';

/** Connections left alone at a time; what a socket has read ahead is at most 64 KiB. */
export const HELD_MAX = 4096;
const LOOK_MS = 50;

export interface ShortWayOptions {
  readonly turnAway: Pick<TurnAway, 'isNeeded' | 'isTooMuch' | 'answerTo'>;
  readonly clock: ApiClock;
  readonly metrics: ApiMetrics;
  /** How long a connection is left alone, in milliseconds; 0 for not at all. */
  readonly pauseMs: number;
  /** Header lines about the connection, as Node's server writes them. */
  readonly connectionFields: string;
  /** Whether nothing is owed on the connection, and the door is open. */
  readonly isIdle: (socket: Socket) => boolean;
}

interface Way {
  readonly socket: Socket;
  /** Node's own reader. */
  readonly parse: (chunk: Buffer) => void;
  readonly listener: (chunk: Buffer) => void;
  inStep: boolean;
  heldUntil: number;
}

const WAY = Symbol('short way');
type KnownSocket = Socket & { [WAY]?: Way | undefined };

export class ShortWay {
  readonly #options: ShortWayOptions;
  readonly #answered: { add(): void };
  readonly #holds: { add(): void };
  /** In the order in which they are let go: all are held for the same time. */
  readonly #held = new Set<Way>();
  #watching = false;
  /** What the parser finds in the bytes that it is given; undefined while nobody wants to know. */
  #found: IncomingMessage[] | undefined;

  constructor(options: ShortWayOptions) {
    const { metrics } = options;
    this.#options = options;
    this.#answered = metrics.counter(
      'quoral_http_short_refusals_total',
      'Requests turned away ahead of the HTTP parser.',
    );
    this.#holds = metrics.counter(
      'quoral_http_holds_total',
      'Times that a connection was left alone because too much is turned away.',
    );
    metrics.gauge(
      'quoral_http_connections_held',
      'Connections that wait unread after they were turned away.',
      () => this.#held.size,
    );
  }

  /** The parser has found this. */
  parsed(message: IncomingMessage): void {
    this.#found?.push(message);
  }

  /** As `Connections` does. */
  greet(socket: KnownSocket): void {
    socket[WAY] = undefined;
  }

  /** Reads this connection ahead of the parser from now on. */
  divert(socket: KnownSocket): void {
    // Not from within the parser, which would lose its place.
    if (socket[WAY] === undefined) setImmediate(() => this.#divert(socket));
  }

  #divert(socket: KnownSocket): void {
    const [parse, ...others] = socket.listeners('data') as ((chunk: Buffer) => void)[];
    if (parse === undefined || others.length > 0 || socket[WAY] !== undefined) return;
    const listener = (chunk: Buffer): void => this.#data(way, chunk);
    const way: Way = { socket, parse, listener, inStep: false, heldUntil: 0 };
    socket[WAY] = way;
    socket.on('data', listener);
    socket.off('data', parse);
    socket.once('close', () => this.#held.delete(way));
  }

  /** The parser is gone. */
  leave(socket: KnownSocket): void {
    const way = socket[WAY];
    if (way !== undefined) socket.off('data', way.listener);
  }

  /** Nobody is left alone any more. */
  release(): void {
    for (const way of this.#held) this.#letGo(way);
  }

  #data(way: Way, chunk: Buffer): void {
    const { turnAway, isIdle } = this.#options;
    const whole = turnAway.isNeeded ? wholeRequest(chunk) : undefined;
    if (whole === undefined) {
      way.inStep = false;
      way.parse(chunk);
    } else if (!way.inStep) this.#bringIntoStep(way, chunk, whole);
    else if (!isIdle(way.socket) || way.socket.writableNeedDrain || !this.#refuse(way, whole)) way.parse(chunk);
  }

  #bringIntoStep(way: Way, chunk: Buffer, whole: WholeRequest): void {
    const found: IncomingMessage[] = (this.#found = []);
    way.parse(chunk);
    this.#found = undefined;
    way.inStep = found.length === 1 && isThat(found[0]!, whole);
  }

  #refuse(way: Way, whole: WholeRequest): boolean {
    const { turnAway, clock, connectionFields, pauseMs } = this.#options;
    const answer = turnAway.answerTo(whole, clock.wall(), connectionFields);
    if (answer === undefined) return false;
    way.socket.write(answer, 'latin1');
    this.#answered.add();
    if (turnAway.isTooMuch && pauseMs > 0 && this.#held.size < HELD_MAX) this.#hold(way, clock.monotonic() + pauseMs);
    return true;
  }

  #hold(way: Way, until: number): void {
    this.#holds.add();
    way.heldUntil = until;
    way.socket.pause();
    this.#held.add(way);
    this.#watch();
  }

  #watch(): void {
    if (this.#watching || this.#held.size === 0) return;
    this.#watching = true;
    this.#options.clock.after(LOOK_MS, () => {
      this.#watching = false;
      this.#look();
      this.#watch();
    });
  }

  #look(): void {
    const now = this.#options.clock.monotonic();
    const isOver = !this.#options.turnAway.isNeeded;
    for (const way of this.#held) {
      if (!isOver && way.heldUntil > now) return;
      this.#letGo(way);
    }
  }

  #letGo(way: Way): void {
    this.#held.delete(way);
    way.socket.resume();
  }
}

function isThat(message: IncomingMessage, { method, url, fields }: WholeRequest): boolean {
  const { complete, rawHeaders } = message;
  return complete && message.method === method && message.url === url && rawHeaders.length === 2 * fields;
}
