/**
 * TLS handshakes that have begun at a door and not ended. Until they have, Node's server knows nothing of their connections, and
 * whoever closes it waits for them. Nor does it say which connection the socket belongs to that hands over what was decrypted: the
 * two have the same ends.
 */

interface End {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  once(event: 'close', listener: () => void): unknown;
  destroy(): unknown;
}

interface TlsServer {
  on(event: 'connection' | 'secureConnection', listener: (socket: End) => void): unknown;
}

export class Handshakes {
  readonly #underWay = new Map<string, End>();
  #areOver = false;

  constructor(server: TlsServer) {
    server.on('connection', (socket) => this.#begin(socket));
    server.on('secureConnection', (socket) => this.#underWay.delete(endsOf(socket)));
  }

  /** Whether they were broken off: what fails from then on says nothing of the other end. */
  get areOver(): boolean {
    return this.#areOver;
  }

  breakOff(): void {
    this.#areOver = true;
    for (const socket of this.#underWay.values()) socket.destroy();
  }

  #begin(socket: End): void {
    const ends = endsOf(socket);
    this.#underWay.set(ends, socket);
    socket.once('close', () => {
      // One that was opened between the same ends meanwhile is another.
      if (this.#underWay.get(ends) === socket) this.#underWay.delete(ends);
    });
  }
}

function endsOf({ remoteAddress, remotePort, localAddress }: End): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
