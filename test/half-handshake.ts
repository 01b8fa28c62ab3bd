/**
 * A visitor that says hello as TLS wants it, hears the answer, and then says nothing more.
 */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';

export async function halfHandshake(port: number): Promise<Socket> {
  const hello = await new Promise<Uint8Array>((resolve) => {
    const socket = new Duplex({ read: () => undefined, write: (chunk: Uint8Array) => resolve(chunk) });
    connectTls({ socket }).on('error', () => undefined);
  });
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  socket.write(hello);
  await once(socket, 'data');
  return socket;
}
