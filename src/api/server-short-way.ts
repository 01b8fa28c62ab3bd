/**
 * The short way past the HTTP parser. Node's parser with the objects that come of it (a message, a response, a stream each) is half
 * of what a request costs at this door, and in a storm most of what it costs to turn one away. So all connections are read here
 * first: bytes that are one plain request for a key (`whole-request`) are taken in at once (`server-plain-request`), or turned away
 * while there is no room; everything else goes to Node's own reader as it came.
 *
 * That needs to know that the parser stands between two requests. A connection is in step when the last bytes were either
 * taken here or one plain request that was handed on; anything else takes it out of step, and it is brought back by a plain
 * request in which the parser has found just that. So the first request of a connection always goes to the parser; which must be,
 * because Node cuts connections whose parser has never seen one.
 *
 * How it is done: Node's server reads sockets past JavaScript until somebody listens for their data; then its own listener
 * gets the bytes, and that listener is what stands behind this one. The same goes for the end of what a client sends: Node would
 * end a connection on which it knows of nothing that is owed.
 *
 * Clients that repeat at once what was turned away would get the node's time for nothing, however many they are. So when many times as
 * much is turned away as is answered, connections are left alone for a while after their answer: the next request waits unread. Who
 * is patient notices nothing of it.
 */

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { present } from '#kernel/assert.ts';
import type { ApiClock, ApiMetrics } from './services.ts';
import { PlainRequest } from './server-plain-request.ts';
import { wholeReader } from './server-parser.ts';
import type { TurnAway } from './turn-away.ts';
import { WholeRequests, type WholeRequest } from './whole-request.ts';

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
  /** Takes a request in; {@link ShortWay.answered} is called when its answer has left. */
  readonly take: (request: PlainRequest) => void;
}

interface Way {
  readonly socket: Socket;
  /** Node's own reader. */
  readonly parse: (chunk: Buffer) => void;
  readonly listener: (chunk: Buffer) => void;
  inStep: boolean;
  heldUntil: number;
  /** Node's own listener for the end of what the client sends. */
  readonly end: () => void;
  readonly endListener: () => void;
  /** Whether a request that the parser has not seen is being worked on. */
  isBusy: boolean;
  /** Whether the client has ended meanwhile. */
  hasEnded: boolean;
}

const WAY = Symbol('short way');
type KnownSocket = Socket & { [WAY]?: Way | undefined };

export class ShortWay {
  readonly #options: ShortWayOptions;
  readonly #requests = new WholeRequests();
  readonly #answered: { add(): void };
  readonly #taken: { add(): void };
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
    this.#taken = metrics.counter(
      'quoral_http_short_requests_total',
      'Requests for keys taken in ahead of the HTTP parser.',
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

  /** Reads this connection ahead of the parser from now on. */
  greet(socket: KnownSocket): void {
    const parse = present(socket.listeners('data').at(-1), "Node's reader") as Way['parse'];
    const way: Way = {
      socket,
      parse: wholeReader(socket, parse, () => !socket.destroyed && socket.listeners('data').includes(way.listener)),
      end: present(socket.listeners('end').at(-1), "Node's listener for the end") as Way['end'],
      listener: (chunk) => this.#data(way, chunk),
      endListener: () => {
        if (way.isBusy) way.hasEnded = true;
        else way.end();
      },
      ...{ inStep: false, heldUntil: 0, isBusy: false, hasEnded: false },
    };
    socket[WAY] = way;
    // The listener first: without any, the socket would stop.
    socket.on('data', way.listener).off('data', parse);
    socket.on('end', way.endListener).off('end', way.end);
    socket.once('close', () => this.#held.delete(way));
  }

  /** The answer to a request that was taken in here has left. */
  answered(socket: KnownSocket): void {
    const way = present(socket[WAY], 'every connection is greeted');
    way.isBusy = false;
    if (way.hasEnded) way.end();
  }

  /** Whatever still comes is read and forgotten. */
  deafen(socket: KnownSocket): void {
    const way = socket[WAY];
    // The listener first, as above.
    if (way !== undefined) socket.on('data', ignore).off('data', way.listener);
  }

  /** The parser is gone. */
  leave(socket: KnownSocket): void {
    const way = socket[WAY];
    if (way !== undefined) socket.off('data', way.listener).off('end', way.endListener);
  }

  /** Nobody is left alone any more. */
  release(): void {
    for (const way of this.#held) this.#letGo(way);
  }

  #data(way: Way, chunk: Buffer): void {
    const { turnAway, isIdle } = this.#options;
    const whole = this.#requests.read(chunk);
    if (whole === undefined) {
      way.inStep = false;
      way.parse(chunk);
    } else if (!way.inStep) this.#bringIntoStep(way, chunk, whole);
    else if (!isIdle(way.socket) || way.socket.writableNeedDrain || !way.socket.writable) way.parse(chunk);
    else if (!turnAway.isNeeded || !this.#refuse(way, whole)) this.#take(way, chunk, whole);
  }

  #take(way: Way, chunk: Buffer, whole: WholeRequest): void {
    const request = PlainRequest.of(way.socket, chunk, whole);
    if (request === undefined) {
      way.parse(chunk);
      return;
    }
    way.isBusy = true;
    this.#taken.add();
    this.#options.take(request);
  }

  #bringIntoStep(way: Way, chunk: Buffer, whole: WholeRequest): void {
    const found: IncomingMessage[] = (this.#found = []);
    way.parse(chunk);
    this.#found = undefined;
    way.inStep = found.length === 1 && isThat(found[0]!, whole, chunk.length - whole.head.length);
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

function ignore(): void {}

/**
 * The parser may have begun elsewhere in these bytes, behind the rest of a body that looks like a head, and stand in the midst of a
 * third request. What it found then is within what was taken for the head, and has fewer fields, or for the body, and has a shorter one.
 */
function isThat(
  message: IncomingMessage,
  { method, url, fields: { names } }: WholeRequest,
  bodyBytes: number,
): boolean {
  const { complete, rawHeaders, headers } = message;
  const isSame = message.method === method && message.url === url && rawHeaders.length === 2 * names.length;
  return complete && isSame && Number(headers['content-length'] ?? 0) === bodyBytes;
}
