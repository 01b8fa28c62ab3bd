/**
 * TLS between nodes, and what is said when it fails. Both ends show a certificate that their CA has signed; whether it
 * names the node that shows it is judged by wire/, which knows who that claims to be.
 */

import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Duplex } from 'node:stream';

/** All nodes are this program, so there is nobody to be lenient with. */
export const PEER_TLS_VERSION = 'TLSv1.3';

/** Whether the certificate that the other end of a TLS connection has shown names this host, address or node. */
export function certifierOf(socket: Duplex): ((name: string) => boolean) | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  return (name) => certificate !== undefined && namesIn(certificate, name);
}

/** By its alternative names only: the subject's common name is no proof of anything since RFC 6125. */
function namesIn(certificate: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined;
  // OpenSSL takes a name with a dot in front for all names below it.
  if (name.startsWith('.')) return false;
  return certificate.checkHost(name, { subject: 'never' }) !== undefined;
}

/** Why nodes that trust these authorities and look for one of these names would refuse the first certificate of the chain. */
export function refusalOf(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  names: readonly string[],
): string | undefined {
  const [leaf] = chain;
  if (leaf === undefined) return 'it is empty';
  if (!isVouchedFor(leaf, chain, authorities)) return 'none of the authorities of this node has signed it';
  if (names.some((name) => namesIn(leaf, name))) return undefined;
  return `it names none of ${names.join(', ')} as a subject alternative name`;
}

/** Along the chain, of which each certificate leads no more than one step on. */
function isVouchedFor(
  leaf: X509Certificate,
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): boolean {
  let held = leaf;
  for (let steps = 0; steps < chain.length; steps++) {
    if (authorities.some((authority) => hasSigned(authority, held))) return true;
    const next = chain.find((other) => other !== held && hasSigned(other, held));
    if (next === undefined) return false;
    held = next;
  }
  return false;
}

function hasSigned(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** Why a handshake failed at a door, in one short line. */
export function handshakeTrouble(error: NodeJS.ErrnoException, socket: TLSSocket): string {
  const unauthorized: unknown = socket.authorizationError;
  if (typeof unauthorized === 'string') return `the certificate of the other end is refused: ${unauthorized}`;
  switch (error.code) {
    case 'ERR_SSL_HTTP_REQUEST':
      return 'the other end speaks plain HTTP, and this door TLS';
    case 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE':
      return 'the other end shows no certificate, and this door wants one';
    case 'ECONNRESET':
      return 'the other end went away before the end of the handshake';
    case 'ERR_TLS_HANDSHAKE_TIMEOUT':
      return 'the other end did not come to the end of the handshake in time';
    default:
      return error.code ?? error.message;
  }
}
