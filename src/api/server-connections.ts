/**
 * What a connection still owes its client. When the parser finds a mistake while earlier requests are being answered, the
 * mistake must not be answered first: the client would take that answer for the one to its first request.
 */

import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Problem, problemBody, problemHeaders, statusOf } from './problem.ts';

/** How long the other end may take to read the last answer before the connection is cut. */
const LINGER_MS = 1000;

/** Requests that a client may send ahead of the answers. */
export const MAX_PIPELINED = 64;

/** A request as far as its turn is concerned. */
export interface Owed {
  readonly socket: Socket;
  /** Whether all of it has come. */
  readonly complete: boolean;
  /** What has not come yet never will. */
  breakBody(): void;
}

interface Connection<Request extends Owed> {
  /** Requests whose answer has not left yet, in the order of their arrival. Only the first is worked on. */
  readonly owed: Request[];
  /** What to do once nothing is owed any more: say this, or only close. */
  end: Problem | 'close' | undefined;
}

/** Looked for with every request: a field of the socket costs less than a weak map. */
const CONNECTION = Symbol('connection');
type KnownSocket = Socket & { [CONNECTION]?: unknown };

/**
 * Requests of one connection are worked on one after the other, as HTTP wants it unless all of them are safe (RFC 9112
 * section 9.3.2): a client that sends a PUT and a GET ahead must read what it wrote.
 */
export class Connections<Request extends Owed> {
  readonly #start: (request: Request) => void;
  readonly #deafen: (socket: Socket) => void;
  readonly #newRequestId: () => string;
  readonly #open = new Set<Connection<Request>>();

  /**
   * `start` is called when it is a request's turn; `deafen` when nothing that comes on a connection matters any more, and must not
   * be read into requests: all of them would be kept until the first is answered. A mistake that is answered for itself has an id of
   * its own.
   */
  constructor(start: (request: Request) => void, deafen: (socket: Socket) => void, newRequestId: () => string) {
    this.#start = start;
    this.#deafen = deafen;
    this.#newRequestId = newRequestId;
  }

  /** A field that sockets got later would make others of them, for which nothing is compiled yet. */
  greet(socket: KnownSocket): void {
    socket[CONNECTION] = undefined;
  }

  arrived(request: Request): void {
    const { socket } = request;
    const connection = this.#of(socket);
    // What the parser still finds behind a mistake is no request of anybody; nor is there an answer to what comes behind
    // the last one.
    if (connection.end !== undefined || !socket.writable) return;
    connection.owed.push(request);
    if (connection.owed.length === 1) this.#start(request);
    if (connection.owed.length > MAX_PIPELINED) {
      connection.owed.pop();
      const detail = `at most ${MAX_PIPELINED} requests may be sent ahead of their answers`;
      this.#end(socket, connection, new Problem('overloaded', detail));
    }
  }

  /** Requests of all connections whose answer has not left yet. */
  *underWay(): Generator<Request> {
    for (const { owed } of this.#open) yield* owed;
  }

  /** Whether a request that comes now is the only one, with nothing wrong before it. */
  isIdle(socket: Socket): boolean {
    const connection = this.#known(socket);
    return connection === undefined || (connection.owed.length === 0 && connection.end === undefined);
  }

  /** Whether no request is under way on it, and no answer is on its way out. */
  owesNothing(socket: Socket): boolean {
    return this.isIdle(socket) && socket.writableLength === 0;
  }

  /** Whether nothing has come behind this request. */
  isLast(request: Request): boolean {
    return this.#of(request.socket).owed.at(-1) === request;
  }

  /** The answer to the first request that is owed has left. */
  answered(socket: Socket): void {
    const connection = this.#of(socket);
    if (connection.owed.length > 1) connection.owed.shift();
    // Keeps the array's room for the next one, which a new length would not.
    else connection.owed.pop();
    // An answer that said "close" was the last: what was sent behind it would be done and never answered.
    if (!socket.writable) connection.owed.length = 0;
    const next = connection.owed[0];
    if (next !== undefined) this.#start(next);
    else if (connection.end !== undefined) this.#endWith(socket, connection.end);
  }

  /** The parser cannot go on with what the client sends. */
  broke(socket: Socket, mistake: Problem): void {
    const connection = this.#of(socket);
    if (connection.end !== undefined) return;
    const last = connection.owed.at(-1);
    if (last === undefined) {
      this.#end(socket, connection, mistake);
      this.#endWith(socket, mistake);
    } else if (last.complete) {
      this.#end(socket, connection, mistake);
    } else {
      // The mistake is in the body of the last request, which answers for it.
      this.#end(socket, connection, 'close');
      last.breakBody();
    }
  }

  #end(socket: Socket, connection: Connection<Request>, end: Problem | 'close'): void {
    connection.end = end;
    this.#deafen(socket);
  }

  /** Says the problem as a whole response, and closes. */
  #endWith(socket: Socket, end: Problem | 'close'): void {
    // Each of those that came behind the end says that its answer will never leave.
    if (socket.destroyed) return;
    if (socket.writable) socket.end(end === 'close' ? '' : wholeResponse(end, this.#newRequestId()));
    const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
    // Who has gone keeps nothing in memory.
    socket.once('close', () => clearTimeout(timer));
  }

  #of(socket: Socket): Connection<Request> {
    return this.#known(socket) ?? this.#first(socket);
  }

  #known(socket: KnownSocket): Connection<Request> | undefined {
    return socket[CONNECTION] as Connection<Request> | undefined;
  }

  #first(socket: KnownSocket): Connection<Request> {
    const connection: Connection<Request> = { owed: [], end: undefined };
    socket[CONNECTION] = connection;
    this.#open.add(connection);
    socket.once('close', () => this.#open.delete(connection));
    return connection;
  }
}

/** What there is for some path or other, told to whoever has named none. */
const METHODS = 'GET, HEAD, PUT, POST, DELETE';

function wholeResponse(problem: Problem, requestId: string): string {
  const status = statusOf(problem.code);
  const body = problemBody(problem);
  const headers = {
    ...problemHeaders(problem.code),
    ...(problem.code === 'method-not-allowed' ? { allow: METHODS } : {}),
    'x-request-id': requestId,
    'server-timing': 'total;dur=0.00',
    connection: 'close',
    'content-length': String(Buffer.byteLength(body)),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`;
}
