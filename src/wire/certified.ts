/**
 * Which names a peer's certificate may bear. The authority's signature alone would let every node pass for every other one:
 * so the certificate must name the node itself, or the host under which this cluster knows it.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { Connection, PeerAddress } from '#world/world.ts';

export type Certifies = (id: NodeId) => boolean;

/**
 * Judges by a connection's certificate; undefined when it has none. A node whose address is known is held to it. One that
 * is not (it wants to join) may bear the address that it comes from, which says no more than that somebody there has a key.
 */
export function certifierFor(
  connection: Pick<Connection, 'certifies' | 'remote'>,
  addressOf: (id: NodeId) => PeerAddress | undefined,
): Certifies | undefined {
  const { certifies, remote } = connection;
  if (certifies === undefined) return undefined;
  return (id) => certifies(id) || certifies(hostOf(addressOf(id) ?? remote));
}

/** `host` of `host:port`, without the brackets of IPv6 and without the prefix of IPv4 inside IPv6. */
export function hostOf(address: PeerAddress): string {
  const host = address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  return host.replace(/^::ffff:(?=\d+\.)/i, '');
}
