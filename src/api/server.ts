/**
 * The client door: Node's HTTP server in front of the API. Everything that Node answers by itself elsewhere (parser errors,
 * timeouts, expectations) is answered here in the API's own shape.
 */

import { getRequestListener } from '@hono/node-server';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { present } from '#kernel/assert.ts';
import type { Handshakes } from '#world/handshakes.ts';
import type { Api } from './app.ts';
import type { Answer } from './exchange.ts';
import { LastDate } from './http-date.ts';
import { invalid, Problem, problemAnswer, type ProblemCode } from './problem.ts';
import { Acceptors } from './server-acceptors.ts';
import { Arrivals } from './server-arrivals.ts';
import { Connections } from './server-connections.ts';
import { Crowd } from './server-crowd.ts';
import { isLarge, send, sendPlain } from './server-answer.ts';
import { PlainRequest } from './server-plain-request.ts';
import { ShortWay } from './server-short-way.ts';
import { drain, SocketRequest, type Expects } from './server-request.ts';
import { createDoor, type DoorTls } from './server-tls.ts';
import { Unread } from './server-unread.ts';
import type { ApiServices } from './services.ts';

/** Bytes of a request line with all header fields: room for 8 KiB beside a value, and for the contexts of many actors. */
export const MAX_HEAD_BYTES = 32 * 1024;
/** For the head of a request to arrive. */
export const HEAD_TIMEOUT_MS = 10_000;
/** For a whole request to arrive; a request's own `timeout` ends earlier. */
export const ARRIVAL_TIMEOUT_MS = 65_000;
/** How long a connection may lie idle between two requests: longer than the clients of common load balancers wait. */
export const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** Without a byte in either direction, whatever the connection is doing; so nobody keeps an answer waiting for ever. */
export const SILENCE_TIMEOUT_MS = 120_000;
export const MAX_CONNECTIONS = 16_384;
/** Header lines about the connection, as Node's server writes them. */
const KEEP_ALIVE = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(KEEP_ALIVE_TIMEOUT_MS / 1000)}\r\n`;
const CLOSE = 'Connection: close\r\n';
const TIMEOUT_CHECK_MS = 1000;

export interface ListenOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Clients speak TLS with it, and plain HTTP without it. */
  readonly tls?: DoorTls | undefined;
  /** Connections that it holds; {@link MAX_CONNECTIONS} without it. */
  readonly maxConnections?: number;
}

export interface HttpServer {
  /** Where the door is, with the port that was allotted when port 0 was asked for. */
  readonly port: number;
  /**
   * Accepts what waits for that, for up to `waitingMs` milliseconds, and then nothing any more; waits up to `timeoutMs`
   * milliseconds for the requests under way, then closes all connections. Their answers say that the connection ends. One on
   * which nothing is under way may bring one more request for `idleMs` milliseconds, because its client may be sending it right now.
   */
  close(timeoutMs: number, idleMs?: number, waitingMs?: number): Promise<void>;
}

/** Opens the door; rejects with a `ListenError`. */
export async function startServer(api: Api, services: ApiServices, options: ListenOptions): Promise<HttpServer> {
  const door = new Door(api, services, options);
  await door.listen(options);
  return door;
}

class Door implements HttpServer {
  readonly #api: Api;
  readonly #services: ApiServices;
  /** Does not listen itself: what the acceptors accept is brought to it. */
  readonly #server: Server | TlsServer;
  readonly #handshakes: Handshakes | undefined;
  readonly #acceptors: Acceptors;
  readonly #connections = new Connections<SocketRequest | PlainRequest>(
    (request) => this.#begin(request),
    (socket) => this.#shortWay.deafen(socket),
    () => this.#api.newRequestId(),
  );
  readonly #arrivals: Arrivals;
  readonly #date = new LastDate();
  readonly #shortWay: ShortWay;
  readonly #unread: Unread;
  readonly #crowd: Crowd;
  readonly #listener: (message: IncomingMessage, response: ServerResponse) => Promise<void>;
  #arriving: SocketRequest | undefined;
  #phase: 'open' | 'taking' | 'closing' | 'closing-idle' = 'open';
  /** What comes while the last connections are accepted: who is answered then would come again, and there would be no last one. */
  readonly #held: (SocketRequest | PlainRequest)[] = [];
  /** Requests under way of which Node's server knows nothing. */
  #plain = 0;
  #port = 0;
  /** Those that can bring requests. */
  readonly #sockets = new Set<Socket>();

  constructor(api: Api, services: ApiServices, { tls, maxConnections = MAX_CONNECTIONS }: ListenOptions) {
    this.#api = api;
    this.#services = services;
    this.#arrivals = new Arrivals(services.clock);
    this.#crowd = new Crowd(services, maxConnections);
    this.#unread = new Unread(services.settings.answersMaxBytes, services.metrics);
    this.#shortWay = new ShortWay({
      ...{ turnAway: api.turnAway, clock: services.clock, metrics: services.metrics },
      pauseMs: services.settings.repeatPauseMs,
      connectionFields: KEEP_ALIVE,
      isIdle: (socket) => this.#phase === 'open' && this.#connections.isIdle(socket) && !this.#crowd.isBeyond(socket),
      take: (request) => this.#connections.arrived(request),
    });
    this.#malformed('invalid-request');
    this.#listener = getRequestListener(
      // Called before the listener returns, so what arrives now is what was set just before.
      (request) => api.fetch(request, { incoming: this.#arriving! }),
      {
        hostname: 'localhost',
        // What is left of a body goes by as it does behind the answers of this door, and not for half a second only.
        autoCleanupIncoming: false,
        errorHandler: () => plainProblem(invalid('Host', 'is not a host name')),
      },
    );
    const options = {
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: HEAD_TIMEOUT_MS,
      requestTimeout: ARRIVAL_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      // Answered below, in the API's shape.
      requireHostHeader: false,
      // What has no body needs no stream that ends.
      optimizeEmptyRequests: true,
      noDelay: true,
    };
    const { server, handshakes } = createDoor(options, tls, HEAD_TIMEOUT_MS);
    this.#server = server;
    this.#handshakes = handshakes;
    this.#server.timeout = SILENCE_TIMEOUT_MS;
    this.#crowd.watch(this.#server);
    // A bound here would drop the rest of the fields in silence; the bytes of the head are bounded.
    this.#server.maxHeadersCount = 0;
    // Who has said everything may close that direction; without this, Node drops the answers that are still owed.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
    this.#server
      .on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => this.#greet(socket))
      .on('request', (message, response) => this.#take(message, response, 'nothing'))
      .on('checkContinue', (message, response) => this.#take(message, response, 'continue'))
      .on('checkExpectation', (message, response) => this.#take(message, response, 'the impossible'))
      .on('connect', (_message, socket) => this.#refuseTunnel(socket))
      .on('clientError', (error: NodeJS.ErrnoException, socket) => this.#parserError(error, socket as Socket));
    this.#acceptors = new Acceptors({
      // Inside of TLS it is Node's server that holds the other half open.
      allowHalfOpen: tls === undefined,
      accepted: (socket) => {
        if (this.#crowd.cuts()) socket.destroy();
        else this.#server.emit('connection', socket);
      },
      failed: (error) => services.log.error('client-door-failed', { reason: error.message }),
    });
  }

  get port(): number {
    return this.#port;
  }

  async listen({ host, port }: ListenOptions): Promise<void> {
    // Node's server looks after its timeouts from now on.
    this.#server.emit('listening');
    try {
      this.#port = await this.#acceptors.listen(host, port);
    } catch (error) {
      this.#server.close();
      throw error;
    }
  }

  async close(timeoutMs: number, idleMs = 0, waitingMs = 0): Promise<void> {
    this.#shortWay.release();
    if (waitingMs > 0) {
      this.#phase = 'taking';
      await this.#acceptors.closeEmpty(waitingMs);
    }
    this.#phase = 'closing';
    // Before anything else: whoever comes to those that are left is broken.
    const closed = this.#acceptors.close();
    for (const request of this.#connections.underWay()) this.#sayLast(request);
    for (const request of this.#held.splice(0)) this.#begin(request);
    const before = new Map([...this.#sockets].map((socket) => [socket, socket.bytesRead]));
    // What has come by then is read first.
    const idle = setTimeout(() => setImmediate(() => this.#closeIdle(before)), Math.min(idleMs, timeoutMs));
    if (idleMs === 0) this.#closeIdle();
    const cut = setTimeout(() => {
      this.#services.log.warn('requests-cut', { afterMs: timeoutMs });
      this.#server.closeAllConnections();
    }, timeoutMs);
    await closed;
    clearTimeout(idle);
    clearTimeout(cut);
    // Nothing is open any more; this ends what looks after connections.
    this.#server.close();
  }

  #closeIdle(before?: ReadonlyMap<Socket, number>): void {
    this.#phase = 'closing-idle';
    this.#handshakes?.breakOff();
    this.#cutIdle();
    if (before !== undefined) this.#cutSilent(before);
  }

  /** Ends the connections on which nothing is under way. What Node's server takes for such may be at work on a request that it does not know. */
  #cutIdle(): void {
    if (this.#phase === 'closing-idle' && this.#plain === 0) this.#server.closeIdleConnections();
  }

  /**
   * Ends those that Node's server takes for busy: on which nothing has ever come, as browsers and load balancers have them in store, or
   * a part of a head and nothing more since the door began to close.
   */
  #cutSilent(before: ReadonlyMap<Socket, number>): void {
    for (const socket of this.#sockets) {
      const isStuck = socket.bytesRead === before.get(socket) && this.#connections.owesNothing(socket);
      if (socket.bytesRead === 0 || isStuck) socket.destroy();
    }
  }

  /** The connection ends with this answer, unless the client has sent more requests behind it. */
  #sayLast(request: SocketRequest | PlainRequest): void {
    if (request instanceof PlainRequest) {
      request.isLast = this.#connections.isLast(request);
      return;
    }
    const { response } = request;
    if (!response.headersSent && this.#connections.isLast(request)) response.shouldKeepAlive = false;
  }

  #malformed(code: ProblemCode): { add(): void } {
    const help = 'Requests that the HTTP parser gave up, by problem.';
    return this.#services.metrics.counter('quoral_http_malformed_total', help, { code });
  }

  #greet(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    this.#crowd.greet(socket);
    this.#connections.greet(socket);
    this.#shortWay.greet(socket);
  }

  #take(message: IncomingMessage, response: ServerResponse, expects: Expects): void {
    this.#shortWay.parsed(message);
    const crowded = this.#crowd.refusal(message);
    if (crowded !== undefined) {
      writeLast(response, problemAnswer(crowded));
      return;
    }
    if (this.#crowd.isBeyond(message.socket)) response.shouldKeepAlive = false;
    if (expects === 'nothing' && this.#turnsAway(message, response)) return;
    const request = new SocketRequest(message, response, this.#arrivals, expects);
    response.on('close', () => this.#left(request));
    this.#connections.arrived(request);
  }

  #turnsAway(message: IncomingMessage, response: ServerResponse): boolean {
    if (this.#phase !== 'open' || !this.#connections.isIdle(message.socket)) return false;
    const refusal = this.#api.turnAway.refusal(message);
    if (refusal === undefined) return false;
    response.writeHead(refusal.status, refusal.headers).end(refusal.body);
    if (!message.complete) response.once('close', () => drain(message));
    return true;
  }

  /** The answer has left, or will never do so. */
  #left({ socket }: SocketRequest): void {
    this.#connections.answered(socket);
    this.#cutIdle();
  }

  #begin(request: SocketRequest | PlainRequest): void {
    if (this.#phase === 'taking') {
      this.#held.push(request);
      return;
    }
    if (request instanceof PlainRequest) {
      this.#plain += 1;
      void present(this.#api.answerDirectly(request), 'a route for keys').then((answer) =>
        this.#sendPlain(request, answer),
      );
      return;
    }
    this.#answer(request);
  }

  #answer(request: SocketRequest): void {
    const { message, response } = request;
    if (this.#phase !== 'open') this.#sayLast(request);
    if (request.isMistaken) response.shouldKeepAlive = false;
    const answer = this.#api.answerDirectly(request);
    if (answer !== undefined) {
      void this.#send(request, answer);
      return;
    }
    // The target is taken; what would be parsed and normalised is not.
    message.url = '/';
    this.#arriving = request;
    response.once('close', () => drain(message));
    void this.#listener(message, response).then(() => this.#unread.wrote(message.socket));
  }

  async #send(request: SocketRequest, answer: Promise<Answer>): Promise<void> {
    const { message, response } = request;
    const given = await answer;
    try {
      send(response, given, request.method);
    } catch (error) {
      writeLast(response, this.#notSent(given, error));
    }
    if (isLarge(given)) this.#unread.wrote(message.socket);
    if (!message.complete) response.once('close', () => drain(message));
  }

  #sendPlain(request: PlainRequest, answer: Answer): void {
    const { socket } = request;
    if (socket.writable) this.#writePlain(request, answer);
    if (request.isLast && !socket.closed) socket.once('close', () => this.#plainLeft());
    else this.#plainLeft();
    this.#connections.answered(socket);
    this.#shortWay.answered(socket);
  }

  #plainLeft(): void {
    this.#plain -= 1;
    this.#cutIdle();
  }

  #writePlain(request: PlainRequest, answer: Answer): void {
    const { socket, method } = request;
    const date = `Date: ${this.#date.text(this.#services.clock.wall())}\r\n`;
    try {
      sendPlain(socket, answer, method, date + (request.isLast ? CLOSE : KEEP_ALIVE));
      if (isLarge(answer)) this.#unread.wrote(socket);
    } catch (error) {
      request.isLast = true;
      sendPlain(socket, this.#notSent(answer, error), method, date + CLOSE);
    }
    if (request.isLast) socket.destroySoon();
  }

  /** Nothing has left yet: what cannot be sent is a header field. */
  #notSent({ headers }: Answer, error: unknown): Answer {
    this.#services.log.error('answer-not-sent', { requestId: headers['x-request-id'], reason: String(error) });
    return problemAnswer(new Problem('internal-error', 'the answer cannot be sent; see the log of this node'));
  }

  #refuseTunnel(socket: Duplex): void {
    this.#shortWay.leave(socket as Socket);
    this.#connections.broke(socket as Socket, new Problem('method-not-allowed', 'CONNECT: this is no proxy'));
  }

  #parserError(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE' || socket.destroyed) {
      socket.destroy();
      return;
    }
    const problem = parserProblem(error);
    this.#malformed(problem.code).add();
    this.#connections.broke(socket, problem);
  }
}

/** What Node's parser and timeouts complain of. */
function parserProblem(error: NodeJS.ErrnoException): Problem {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Problem(
        'headers-too-large',
        `request line and header fields: at most ${MAX_HEAD_BYTES} bytes are allowed`,
      );
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem('request-timeout', 'the request did not arrive in time');
    default: {
      const reason = 'reason' in error && typeof error.reason === 'string' ? error.reason : 'malformed';
      return invalid('request', `not HTTP/1.1: ${reason}`);
    }
  }
}

function plainProblem(problem: Problem): Response {
  const { status, headers, body } = problemAnswer(problem, { connection: 'close' });
  return new Response(body as string, { status, headers });
}

/** The connection ends with this answer. */
function writeLast(response: ServerResponse, { status, headers, body }: Answer): void {
  headers['connection'] = 'close';
  headers['content-length'] = String(Buffer.byteLength(body as string));
  response.writeHead(status, headers).end(body);
}
