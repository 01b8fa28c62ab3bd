/**
 * The listening sockets of the client door. libuv accepts one connection from a listening socket in each turn of the event loop. On
 * a busy node a turn takes milliseconds, so of hundreds of clients that come at once, after a restart or in a storm, the last would
 * wait for seconds. So the door has several sockets on its port, among which the system spreads the connections (SO_REUSEPORT).
 * Where it cannot do that there is one.
 *
 * The operating system opens connections before the process has taken them, and breaks those that it has not taken when the socket
 * closes, whatever their clients have sent: who comes between the loop's last look at a socket and its end is lost. So each socket is
 * closed for itself, directly after a turn in which nobody came to it, and only if that look is but a moment old: a turn that had much
 * to do, or in which the process had to wait for a processor, does not count. And no socket listens that is not going to be served.
 */

import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type ListenOptions, type Server, type Socket } from 'node:net';
import { setImmediate as endOfTurn, setTimeout as sleep } from 'node:timers/promises';

/** The most connections that a turn of the loop accepts. Each takes about as long as a request. */
export const ACCEPTORS = 16;
/** Connections that may wait at each of them. */
const BACKLOG = 1024;
/** How old the look at a socket may be when it closes; about as long as an idle turn takes with the end of some sockets. */
const FRESH_MS = 0.05;
/** With each turn that takes longer this is more: on some machines all do. */
const FRESH_GROWTH = 1.1;
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
  readonly #listening = new Set<Server>();
  /** Those to which somebody came in this turn. */
  readonly #visited = new Set<Server>();
  readonly #closed: Promise<void>[] = [];

  constructor(options: AcceptorsOptions) {
    this.#options = options;
  }

  /** Port 0 is any free one. Returns the port; rejects with a {@link ListenError}. */
  async listen(host: string, port: number): Promise<number> {
    try {
      if (port !== 0) await expectNobodys(host, port);
      return await this.#openAll(host, port);
    } catch (error) {
      void this.close();
      const reason = reasonNotListening(error as NodeJS.ErrnoException);
      throw new ListenError(`--listen ${host}:${port}: ${reason}`, { cause: error });
    }
  }

  /** Closes every socket at which nobody waits; resolves when all are closed, or after so many milliseconds. */
  async closeEmpty(limitMs: number): Promise<void> {
    const until = performance.now() + limitMs;
    let freshMs = FRESH_MS;
    while (this.#listening.size > 0 && performance.now() < until) {
      // Who has just slept is not soon interrupted by others that want the processor; and the turn that follows begins with a look.
      await sleep(1);
      this.#visited.clear();
      const freshUntil = performance.now() + freshMs;
      await endOfTurn();
      if (performance.now() > freshUntil) freshMs *= FRESH_GROWTH;
      for (const server of this.#listening) {
        if (performance.now() > freshUntil) break;
        if (!this.#visited.has(server)) this.#close(server);
      }
    }
  }

  /** Accepts nothing any more, at once; resolves when all that was accepted is closed. */
  async close(): Promise<void> {
    for (const server of this.#listening) this.#close(server);
    await Promise.all(this.#closed);
  }

  #close(server: Server): void {
    this.#listening.delete(server);
    this.#closed.push(new Promise((resolve) => server.close(() => resolve())));
  }

  async #openAll(host: string, port: number): Promise<number> {
    let reusePort = true;
    const first = await this.#open({ host, port, reusePort }).catch((error: NodeJS.ErrnoException) => {
      if (!CANNOT_SHARE.has(error.code)) throw error;
      reusePort = false;
      return this.#open({ host, port });
    });
    const { address, port: given } = first.address() as AddressInfo;
    while (reusePort && this.#listening.size < ACCEPTORS) await this.#open({ host: address, port: given, reusePort });
    return given;
  }

  async #open(options: ListenOptions): Promise<Server> {
    const { allowHalfOpen, accepted, failed } = this.#options;
    const server = createServer({ allowHalfOpen, noDelay: true }, (socket) => {
      this.#visited.add(server);
      accepted(socket);
    });
    server.listen({ ...options, backlog: BACKLOG });
    await once(server, 'listening');
    this.#listening.add(server);
    return server.on('error', failed);
  }
}

/**
 * Sockets that share a port share it with other processes of the same user as well, so it must be nobody's before. It is asked for by
 * a connection from it, to where nobody listens: a socket that listens, and closes then, breaks whoever connects meanwhile, as
 * clients do that wait for this node. Any other trouble is left to those that listen.
 */
async function expectNobodys(host: string, port: number): Promise<void> {
  const { address } = await lookup(host);
  const asking = connect({ host: address, port: 0, localAddress: address, localPort: port });
  let refusal: NodeJS.ErrnoException | undefined;
  asking.on('error', (error) => (refusal = error));
  // It has the port by then, or not.
  await endOfTurn();
  asking.destroy();
  if (refusal?.code === 'EADDRINUSE') throw refusal;
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
