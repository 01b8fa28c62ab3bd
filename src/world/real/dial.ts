/**
 * The dialing side of a peer connection: one upgrade request through undici, whose parser then gives the socket away.
 */

import type { Duplex } from 'node:stream';
import { Client, type Dispatcher } from 'undici';
import { NetworkError, type Channel, type PeerAddress } from '#world/world.ts';
import { CHANNEL_HEADER, PEER_PATH, PROTOCOL } from './upgrade.ts';

export function formatAddress(host: string, port: number): PeerAddress {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Calls `upgraded` with the socket in the turn in which it was handed over. Rejects with a {@link NetworkError} after
 * `timeout` milliseconds at the latest.
 */
export async function dial(
  address: PeerAddress,
  channel: Channel,
  timeout: number,
  upgraded: (socket: Duplex) => void,
): Promise<void> {
  const client = new Client(originOf(address), { connect: { timeout }, headersTimeout: 0, bodyTimeout: 0 });
  const handshake = new Handshake(address, upgraded);
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

function originOf(address: PeerAddress): string {
  const port = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(address)?.[1];
  if (port === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new NetworkError(`peer address ${JSON.stringify(address)} is not host:port`);
  }
  return `http://${address}`;
}

class Handshake implements Dispatcher.DispatchHandler {
  readonly done: Promise<void>;
  readonly #address: PeerAddress;
  readonly #upgraded: (socket: Duplex) => void;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  #settled = false;

  constructor(address: PeerAddress, upgraded: (socket: Duplex) => void) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#address = address;
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
    this.fail(describe(error), error);
  }
}

function describe(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'the connection was refused: nothing listens there (ECONNREFUSED)';
    case 'ENOTFOUND':
      return 'no such host (ENOTFOUND)';
    default:
      return error.code === undefined ? error.message : `${error.message} (${error.code})`;
  }
}
