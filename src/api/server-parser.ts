/**
 * Node's reader of a connection, which loses nothing. Its parser stops behind a request that wants another protocol, in case that
 * something else follows. A server that changes to none goes on with HTTP, but Node's forgets the rest of the bytes that it was
 * just given: requests that were sent ahead would get no answer, or those of the next ones. So the rest is given to it again.
 */

import type { Socket } from 'node:net';

interface Parser {
  /** Says how many bytes it has taken; an error when they are no HTTP. */
  execute: (this: Parser, chunk: Buffer) => unknown;
}

/** What the parser that was called last has taken. */
let taken: unknown;

/** `parse` is Node's own listener for the data of the socket; `isHeard` says whether the rest of some bytes is still for it. */
export function wholeReader(
  socket: Socket,
  parse: (chunk: Buffer) => void,
  isHeard: () => boolean,
): (chunk: Buffer) => void {
  if ('parser' in socket) countTaken(socket.parser as Parser);
  return (chunk) => {
    taken = undefined;
    parse(chunk);
    for (let rest = chunk; typeof taken === 'number' && taken > 0 && taken < rest.length && isHeard();) {
      rest = rest.subarray(taken);
      taken = undefined;
      parse(rest);
    }
  };
}

/** Node keeps parsers for other connections. */
function countTaken(parser: Parser): void {
  if (Object.hasOwn(parser, 'execute')) return;
  const { execute } = parser;
  parser.execute = (chunk) => (taken = execute.call(parser, chunk));
}
