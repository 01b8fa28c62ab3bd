/**
 * The network between nodes. A node's peer door speaks just enough HTTP to change over to the protocol `quoral/1`; from
 * then on the socket carries frames (framing.ts). Whatever else knocks gets a short answer and is shown out.
 */

import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  NetworkError,
  type Channel,
  type Connection,
  type ConnectionEvents,
  type Listener,
  type Log,
  type Network,
  type PeerAddress,
} from '#world/world.ts';
import { Handshakes } from '#world/handshakes.ts';
import type { Certificates } from './certificates.ts';
import { SocketConnection } from './connection.ts';
import { dial, formatAddress } from './dial.ts';
import { ReassemblyBudget } from './frame-reader.ts';
import { Seldom } from '#world/seldom.ts';
import { PEER_TLS_VERSION } from './tls.ts';
import { CHANNEL_HEADER, parseChannel, PEER_PATH, PROTOCOL } from './upgrade.ts';

/** Two connections a peer are usual; this leaves room for large clusters, and for reconnects that overlap. */
export const PEER_CONNECTIONS_MAX = 1024;
/** Large messages being received over all connections. */
const MAX_REASSEMBLY_BYTES = 512 * 1024 * 1024;
/** A visitor has this long to send its upgrade request. */
const UPGRADE_REQUEST_MS = 5000;
const MAX_UPGRADE_HEADER_BYTES = 8 * 1024;
/** The first byte of a TLS connection: the type of a handshake record. */
const TLS_HANDSHAKE = 0x16;

export interface NetworkOptions {
  readonly listenHost: string;
  /** 0 for any free one. */
  readonly listenPort: number;
  readonly log: Log;
  /** With them both ends of every connection prove who they are; without them peers speak in the clear. */
  readonly certificates?: Certificates;
  /** Connections that the peer door holds at once. */
  readonly maxConnections?: number;
  readonly maxReassemblyBytes?: number;
}

type Accept = (connection: Connection) => ConnectionEvents;

export function createNetwork(options: NetworkOptions): Network {
  const budget = new ReassemblyBudget(options.maxReassemblyBytes ?? MAX_REASSEMBLY_BYTES);
  return {
    listen: (accept) => new PeerDoor(options, budget, accept).open(),
    connect: (address, channel, timeout, open) =>
      dial({ address, channel, timeout, identity: options.certificates?.pair() }, (socket) => {
        const connection = new SocketConnection(socket, channel, address, budget);
        // What the server sent behind its answer was put back into the socket.
        connection.start(open(connection), new Uint8Array(0));
      }),
  };
}

class PeerDoor implements Listener {
  readonly #options: NetworkOptions;
  readonly #budget: ReassemblyBudget;
  readonly #accept: Accept;
  readonly #server: Server | TlsServer;
  #handshakes: Handshakes | undefined;
  readonly #connections = new Set<Connection>();
  readonly #seldom = new Seldom(() => performance.now());
  #address: PeerAddress = '';

  constructor(options: NetworkOptions, budget: ReassemblyBudget, accept: Accept) {
    this.#options = options;
    this.#budget = budget;
    this.#accept = accept;
    this.#server = this.#createServer();
    this.#server.maxConnections = options.maxConnections ?? PEER_CONNECTIONS_MAX;
    this.#server.on('drop', (dropped) => this.#dropped(dropped?.remoteAddress));
    this.#server.on('request', (request, response) => {
      response.writeHead(statusFor(request), { connection: 'close', upgrade: PROTOCOL });
      response.end(`this is the door for peers, which speak ${PROTOCOL}\n`);
      this.#refused(request, 'no upgrade');
    });
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#noHttp(error, socket as Socket));
  }

  #createServer(): Server | TlsServer {
    const { certificates } = this.#options;
    const plain = {
      noDelay: true,
      keepAlive: false,
      maxHeaderSize: MAX_UPGRADE_HEADER_BYTES,
      headersTimeout: UPGRADE_REQUEST_MS,
      requestTimeout: UPGRADE_REQUEST_MS,
      connectionsCheckingInterval: UPGRADE_REQUEST_MS / 5,
    };
    if (certificates === undefined) return createServer(plain);
    const secure = (): object => ({ ...certificates.pair(), minVersion: PEER_TLS_VERSION });
    const server = createTlsServer({
      ...plain,
      ...secure(),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: UPGRADE_REQUEST_MS,
    });
    certificates.onChange(() => server.setSecureContext(secure()));
    const handshakes = new Handshakes(server);
    this.#handshakes = handshakes;
    server.on('tlsClientError', (error, socket) => {
      if (!handshakes.areOver) certificates.handshakeFailed(error, socket);
      socket.destroy();
    });
    return server;
  }

  get address(): PeerAddress {
    return this.#address;
  }

  open(): Promise<Listener> {
    const { listenHost, listenPort } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => reject(cannotListen(listenHost, listenPort, error)));
      this.#server.listen(listenPort, listenHost, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', (error) => this.#options.log.error('peer-door-failed', { error }));
        this.#address = formatAddress(listenHost, (this.#server.address() as AddressInfo).port);
        resolve(this);
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
      this.#handshakes?.breakOff();
      for (const connection of this.#connections) connection.close('the peer door is closing');
    });
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const channel = parseChannel(request.headers[CHANNEL_HEADER]);
    const problem = upgradeProblem(request, channel);
    if (problem !== undefined || channel === undefined) {
      socket.end(
        `HTTP/1.1 426 Upgrade Required\r\nconnection: close\r\nupgrade: ${PROTOCOL}\r\ncontent-length: 0\r\n\r\n`,
      );
      // Somebody who keeps the socket open after that is not waited for.
      socket.once('finish', () => socket.destroy());
      this.#refused(request, problem ?? 'no channel');
      return;
    }
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${PROTOCOL}\r\n\r\n`);
    this.#admit(new SocketConnection(socket, channel, visitor(request), this.#budget), head);
  }

  #admit(connection: SocketConnection, head: Buffer): void {
    this.#connections.add(connection);
    const events = this.#accept(connection);
    connection.start(
      {
        message: (message) => events.message(message),
        takesLarge: () => events.takesLarge?.() !== false,
        moved: () => events.moved?.(),
        closed: (reason) => {
          this.#connections.delete(connection);
          events.closed(reason);
        },
      },
      head,
    );
  }

  /** The visitor speaks something else, or nothing in time. */
  #noHttp(error: NodeJS.ErrnoException & { readonly rawPacket?: Uint8Array }, socket: Socket): void {
    const { log } = this.#options;
    const isTls = error.rawPacket?.[0] === TLS_HANDSHAKE;
    const reason = isTls ? 'it speaks TLS, and this door does not: peer-tls-cert is not set' : error.code;
    const fields = { remote: remoteOf(socket), reason };
    if (isTls && this.#seldom.isNews('TLS')) log.warn('peer-door-visitor-refused', fields);
    else log.debug('peer-door-visitor-refused', fields);
    if (socket.writable)
      socket.end(`HTTP/1.1 ${statusOfBroken(error)}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    socket.once('finish', () => socket.destroy());
  }

  #dropped(remote: string | undefined): void {
    if (!this.#seldom.isNews('drop')) return;
    const reason = `this door holds ${this.#server.maxConnections} connections, and all are in use`;
    this.#options.log.warn('peer-door-visitor-refused', { remote, reason });
  }

  #refused(request: IncomingMessage, reason: string): void {
    this.#options.log.debug('peer-door-visitor-refused', { remote: visitor(request), reason });
  }
}

function upgradeProblem(request: IncomingMessage, channel: Channel | undefined): string | undefined {
  if (request.method !== 'GET' || request.url !== PEER_PATH) return 'wrong path';
  if (request.headers.upgrade !== PROTOCOL) return 'wrong protocol';
  return channel === undefined ? 'no channel' : undefined;
}

function statusFor(request: IncomingMessage): number {
  return request.url === PEER_PATH ? 426 : 404;
}

function statusOfBroken(error: NodeJS.ErrnoException): string {
  if (error.code === 'HPE_HEADER_OVERFLOW') return '431 Request Header Fields Too Large';
  return error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request';
}

function visitor(request: IncomingMessage): string {
  return remoteOf(request.socket);
}

function remoteOf({ remoteAddress, remotePort }: Socket): string {
  return formatAddress(remoteAddress ?? 'unknown', remotePort ?? 0);
}

function cannotListen(host: string, port: number, error: NodeJS.ErrnoException): NetworkError {
  const why =
    error.code === 'EADDRINUSE'
      ? 'the port is in use by another process'
      : error.code === 'EACCES'
        ? 'this user may not use the port'
        : error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND'
          ? 'this machine has no such address'
          : error.message;
  const code = error.code === undefined ? '' : ` (${error.code})`;
  return new NetworkError(`the peer door cannot listen on ${formatAddress(host, port)}: ${why}${code}`, {
    cause: error,
  });
}
