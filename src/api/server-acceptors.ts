/**
 * The listening sockets of the client door. libuv accepts one connection from a listening socket in each turn of the event loop. On
 * a busy node a turn takes milliseconds, so of hundreds of clients that come at once, after a restart or in a storm, the last would
 * wait for seconds. So the door has several sockets on its port, among which the system spreads the connections (SO_REUSEPORT).
 * Where it cannot do that there is one.
 *
 * The operating system opens connections before the process has taken them, and breaks those that it has not taken when the socket
 * closes, whatever their clients have sent. So before they are closed all sockets are emptied.
 */

import { once } from 'node:events';
import { createServer, type AddressInfo, type ListenOptions, type Server, type Socket } from 'node:net';
import { setImmediate as endOfTurn } from 'node:timers/promises';

/** The most connections that a turn of the loop accepts. Each takes about as long as a request. */
export const ACCEPTORS = 16;
/** Connections that may wait at each of them. */
const BACKLOG = 1024;
/** What is said where sockets cannot share a port. */
const CANNOT_SHARE: ReadonlySet<string | undefined> = new Set(['ENOTSUP', 'EINVAL', 'ENOPROTOOPT']);

/** The door cannot be opened; the message says which and why. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

export interface AcceptorsOptions {
  readonly allowHalfOpen: boolean;
  /** Gets every connection, at once. */
  readonly accepted: (socket: Socket) => void;
  readonly failed: (error: Error) => void;
}

export class Acceptors {
  readonly #options: AcceptorsOptions;
  readonly #servers: Server[] = [];
  /** Connections that were accepted since it was last looked. */
  #came = 0;

  constructor(options: AcceptorsOptions) {
    this.#options = options;
  }

  /** Port 0 is any free one. Returns the port; rejects with a {@link ListenError}. */
  async listen(host: string, port: number): Promise<number> {
    try {
      // Sockets that share a port share it with other processes of the same user as well, so it must be nobody's before.
      if (port !== 0) (await this.#open({ host, port })).close();
      return await this.#openAll(host, port);
    } catch (error) {
      void this.close();
      const reason = reasonNotListening(error as NodeJS.ErrnoException);
      throw new ListenError(`--listen ${host}:${port}: ${reason}`, { cause: error });
    }
  }

  /**
   * Resolves when nobody waits, in the turn in which that is seen, so that a door that closes then breaks nobody's connection; at
   * the latest after so many milliseconds.
   */
  async takeWaiting(limitMs: number): Promise<void> {
    const until = performance.now() + limitMs;
    // What is left of this turn may have looked for connections already.
    await endOfTurn();
    do {
      this.#came = 0;
      await endOfTurn();
    } while (this.#came > 0 && performance.now() < until);
  }

  /** Accepts nothing any more, at once; resolves when all that was accepted is closed. */
  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    await Promise.all(closed);
  }

  async #openAll(host: string, port: number): Promise<number> {
    let reusePort = true;
    const first = await this.#open({ host, port, reusePort }).catch((error: NodeJS.ErrnoException) => {
      if (!CANNOT_SHARE.has(error.code)) throw error;
      reusePort = false;
      return this.#open({ host, port });
    });
    this.#servers.push(first);
    const { address, port: given } = first.address() as AddressInfo;
    while (reusePort && this.#servers.length < ACCEPTORS)
      this.#servers.push(await this.#open({ host: address, port: given, reusePort }));
    return given;
  }

  async #open(options: ListenOptions): Promise<Server> {
    const { allowHalfOpen, accepted, failed } = this.#options;
    const server = createServer({ allowHalfOpen, noDelay: true }, (socket) => {
      this.#came += 1;
      accepted(socket);
    });
    server.listen({ ...options, backlog: BACKLOG });
    await once(server, 'listening');
    return server.on('error', failed);
  }
}

function reasonNotListening(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return 'the port is in use by another process';
    case 'EADDRNOTAVAIL':
      return 'this machine does not have that address';
    case 'EACCES':
      return 'no permission to use that port';
    case 'ENOTFOUND':
      return 'there is no such host';
    default:
      return error.message;
  }
}
