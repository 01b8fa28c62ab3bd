/**
 * What waits to be accepted when a door closes. The operating system opens connections for a listening socket before the process has
 * taken them, and breaks those that it has not taken when the socket closes, whatever their clients have sent. libuv takes one in
 * each turn of the event loop, so on a busy node many wait. Nobody tells how many; but they come out in the order in which they
 * came, so when a connection of this process to its own door comes out, all before it have.
 */

import { connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { setImmediate as endOfTurn } from 'node:timers/promises';

/** What listens on all addresses is reached by this one. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/**
 * Resolves when nobody waits, in the turn in which that is seen, so that a door that closes then breaks nobody's connection; at the
 * latest after so many milliseconds.
 */
export async function takeWaiting(server: Server, limitMs: number): Promise<void> {
  const until = performance.now() + limitMs;
  const own: Socket[] = [];
  for (let before = 1; before > 0 && performance.now() < until;) {
    // Whoever comes behind this one, until it is taken, is broken: so it joins right before the loop looks for what has come.
    await endOfTurn();
    before = await new Promise<number>((resolve) => {
      own.push(joinLine(server, until - performance.now(), resolve));
    });
  }
  // In a later turn, when the door is closed: to a door with TLS these are handshakes that break off.
  setImmediate(() => {
    for (const socket of own) socket.destroy();
  });
}

/** `cameOut` gets the number of connections that came out before this one; 0 when it cannot be made or time is up. */
function joinLine(server: Server, limitMs: number, cameOut: (before: number) => void): Socket {
  const { address, port } = server.address() as AddressInfo;
  const own = connect({ host: LOOPBACK[address] ?? address, port });
  let before = 0;
  const end = (count: number): void => {
    clearTimeout(timer);
    server.off('connection', accepted).off('drop', accepted);
    cameOut(count);
  };
  // A connection too many is taken as well, and closed at once.
  const accepted = (other?: { readonly remotePort?: number | undefined }): void => {
    if (other?.remotePort === own.localPort) end(before);
    else before += 1;
  };
  const timer = setTimeout(() => end(0), limitMs);
  own.on('error', () => end(0));
  server.on('connection', accepted).on('drop', accepted);
  return own;
}
