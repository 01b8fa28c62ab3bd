/**
 * What a connection still owes its client. When the parser finds a mistake while earlier requests are being answered, the
 * mistake must not be answered first: the client would take that answer for the one to its first request.
 */

import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Problem, problemBody, problemHeaders, statusOf } from './problem.ts';
import type { SocketRequest } from './server-request.ts';

/** How long the other end may take to read the last answer before the connection is cut. */
const LINGER_MS = 1000;

/** Requests that a client may send ahead of the answers. */
export const MAX_PIPELINED = 64;

interface Connection {
  /** Requests whose answer has not left yet, in the order of their arrival. Only the first is worked on. */
  readonly owed: Owed[];
  /** What to do once nothing is owed any more: say this, or only close. */
  end: Problem | 'close' | undefined;
}

interface Owed {
  readonly request: SocketRequest;
  readonly start: () => void;
}

/**
 * Requests of one connection are worked on one after the other, as HTTP wants it unless all of them are safe (RFC 9112
 * section 9.3.2): a client that sends a PUT and a GET ahead must read what it wrote.
 */
export class Connections {
  readonly #connections = new WeakMap<Socket, Connection>();

  /** Calls `start` when it is the request's turn. */
  arrived(socket: Socket, request: SocketRequest, start: () => void): void {
    const connection = this.#of(socket);
    // What the parser still finds behind a mistake is no request of anybody; nor is there an answer to what comes behind
    // the last one.
    if (connection.end !== undefined || !socket.writable) return;
    connection.owed.push({ request, start });
    if (connection.owed.length === 1) start();
    if (connection.owed.length > MAX_PIPELINED) {
      connection.owed.pop();
      connection.end = new Problem(
        'overloaded',
        `at most ${MAX_PIPELINED} requests may be sent ahead of their answers`,
      );
    }
  }

  /** Whether nothing has come behind this request. */
  isLast(socket: Socket, request: SocketRequest): boolean {
    return this.#of(socket).owed.at(-1)?.request === request;
  }

  /** The answer to the first request that is owed has left. */
  answered(socket: Socket): void {
    const connection = this.#of(socket);
    connection.owed.shift();
    // An answer that said "close" was the last: what was sent behind it would be done and never answered.
    if (!socket.writable) connection.owed.length = 0;
    const [next] = connection.owed;
    if (next !== undefined) next.start();
    else if (connection.end !== undefined) endWith(socket, connection.end);
  }

  /** The parser cannot go on with what the client sends. */
  broke(socket: Socket, mistake: Problem): void {
    const connection = this.#of(socket);
    if (connection.end !== undefined) return;
    const last = connection.owed.at(-1)?.request;
    if (last === undefined) {
      connection.end = mistake;
      endWith(socket, mistake);
    } else if (last.complete) {
      connection.end = mistake;
    } else {
      // The mistake is in the body of the last request, which answers for it.
      connection.end = 'close';
      last.breakBody();
    }
  }

  #of(socket: Socket): Connection {
    let connection = this.#connections.get(socket);
    if (connection === undefined) this.#connections.set(socket, (connection = { owed: [], end: undefined }));
    return connection;
  }
}

/** Says the problem as a whole response, and closes. */
function endWith(socket: Socket, end: Problem | 'close'): void {
  if (socket.writable) socket.end(end === 'close' ? '' : wholeResponse(end));
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

function wholeResponse(problem: Problem): string {
  const status = statusOf(problem.code);
  const body = problemBody(problem);
  const headers = {
    ...problemHeaders(problem.code),
    connection: 'close',
    'content-length': String(Buffer.byteLength(body)),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`;
}
