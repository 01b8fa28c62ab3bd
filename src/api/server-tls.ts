/**
 * The client door with and without TLS. Where the certificates come from, and when others take their place, is not decided
 * here.
 */

import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { Handshakes } from '#world/handshakes.ts';

export interface DoorTls {
  /** PEM texts for the handshakes from now on; `ca` are the only ones that vouch for clients. */
  pair(): { readonly cert: string; readonly key: string; readonly ca?: readonly string[] };
  /** Whether clients must show a certificate. */
  readonly mutual: boolean;
  /** Calls back when {@link pair} gives another one. */
  onChange(listener: () => void): void;
  handshakeFailed(error: Error, socket: TLSSocket): void;
}

const VERSION_MIN = 'TLSv1.2';

export interface ServerOfDoor {
  readonly server: Server | TlsServer;
  /** None without TLS. */
  readonly handshakes?: Handshakes;
}

export function createDoor(options: ServerOptions, tls: DoorTls | undefined, handshakeTimeout: number): ServerOfDoor {
  if (tls === undefined) return { server: createServer(options) };
  const secure = (): object => ({ ...tls.pair(), minVersion: VERSION_MIN });
  const server = createTlsServer({
    ...options,
    ...secure(),
    requestCert: tls.mutual,
    rejectUnauthorized: tls.mutual,
    handshakeTimeout,
  });
  const handshakes = new Handshakes(server);
  // Connections that stand keep what they have; new handshakes get the new certificate, and no old session is resumed.
  tls.onChange(() => server.setSecureContext(secure()));
  server.on('tlsClientError', (error, socket) => {
    if (!handshakes.areOver) tls.handshakeFailed(error, socket);
    socket.destroy();
  });
  return { server, handshakes };
}
