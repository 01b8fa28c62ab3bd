/**
 * The dialing side of a peer connection: one upgrade request through undici, whose parser then gives the socket away.
 */

import type { Duplex } from 'node:stream';
import { Client, type Dispatcher } from 'undici';
import { NetworkError, type Channel, type PeerAddress } from '#world/world.ts';
import type { KeyPair } from './certificates.ts';
import { PEER_TLS_VERSION } from './tls.ts';
import { CHANNEL_HEADER, PEER_PATH, PROTOCOL } from './upgrade.ts';

export function formatAddress(host: string, port: number): PeerAddress {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export interface DialOptions {
  readonly address: PeerAddress;
  readonly channel: Channel;
  readonly timeout: number;
  /** With it the connection is TLS, and this end shows what it is. */
  readonly identity: KeyPair | undefined;
}

/**
 * Calls `upgraded` with the socket in the turn in which it was handed over. Rejects with a {@link NetworkError} after
 * `timeout` milliseconds at the latest.
 */
export async function dial(options: DialOptions, upgraded: (socket: Duplex) => void): Promise<void> {
  const { address, channel, timeout, identity } = options;
  const client = new Client(originOf(address, identity), {
    connect: { timeout, ...(identity === undefined ? {} : secure(identity)) },
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const handshake = new Handshake(options, upgraded);
  const timer = setTimeout(() => handshake.fail(`no answer within ${timeout} ms`), timeout);
  try {
    const headers = { [CHANNEL_HEADER]: channel };
    client.dispatch({ path: PEER_PATH, method: 'GET', upgrade: PROTOCOL, headers }, handshake);
    await handshake.done;
  } finally {
    clearTimeout(timer);
    // The client has given its socket away or failed; nothing of it is needed any more.
    void client.destroy();
  }
}

/** The chain is verified here; which names it must bear depends on who is dialed, and is judged in the handshake of wire/. */
function secure({ cert, key, ca }: KeyPair): object {
  return { cert, key, ca, minVersion: PEER_TLS_VERSION, checkServerIdentity: () => undefined };
}

function originOf(address: PeerAddress, identity: KeyPair | undefined): string {
  const port = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(address)?.[1];
  if (port === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new NetworkError(`peer address ${JSON.stringify(address)} is not host:port`);
  }
  return `${identity === undefined ? 'http' : 'https'}://${address}`;
}

class Handshake implements Dispatcher.DispatchHandler {
  readonly done: Promise<void>;
  readonly #address: PeerAddress;
  readonly #secure: boolean;
  readonly #upgraded: (socket: Duplex) => void;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  #settled = false;

  constructor({ address, identity }: DialOptions, upgraded: (socket: Duplex) => void) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#address = address;
    this.#secure = identity !== undefined;
    this.#upgraded = upgraded;
  }

  fail(why: string, cause?: Error): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#reject(new NetworkError(`cannot connect to ${this.#address}: ${why}`, { cause }));
  }

  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: Record<string, string | string[] | undefined>,
    socket: Duplex,
  ): void {
    if (this.#settled || statusCode !== 101 || headers['upgrade'] !== PROTOCOL) {
      socket.on('error', () => {});
      socket.destroy();
      this.fail(`it changed over to ${JSON.stringify(headers['upgrade'])}, not to ${PROTOCOL}`);
      return;
    }
    this.#settled = true;
    try {
      this.#upgraded(socket);
      this.#resolve();
    } catch (error) {
      socket.destroy();
      this.#reject(error);
    }
  }

  onRequestStart(): void {}

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number): void {
    this.fail(`it answered with HTTP status ${statusCode}: not a peer door that speaks ${PROTOCOL}`);
    controller.abort(new Error('not upgraded'));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(describe(error, this.#secure), error);
  }
}

function describe(error: NodeJS.ErrnoException, secure: boolean): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'the connection was refused: nothing listens there (ECONNREFUSED)';
    case 'ENOTFOUND':
      return 'no such host (ENOTFOUND)';
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return `it does not speak TLS: peer-tls-cert is not set there (${error.code})`;
    // What Node.js says of these is advice for whoever starts Node.js.
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return `none of the authorities in peer-tls-ca has signed its certificate (${error.code})`;
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
      return `it hung up (${error.code}); ${secure ? 'it may refuse this node’s certificate' : 'it may want TLS, which is not set up here'}: its log knows`;
    default:
      return error.code === undefined ? error.message : `${error.message} (${error.code})`;
  }
}
