/**
 * What this room holds at a moment: connections, calls, bytes that wait.
 */

import type { Metrics } from '#world/world.ts';
import type { Link } from './link.ts';
import type { Session } from './session.ts';

export interface Holdings {
  readonly links: () => Iterable<Link>;
  readonly incoming: () => ReadonlySet<Session>;
  /** Requests of peers that are being worked on. */
  readonly handlers: () => number;
}

export function wireGauges(metrics: Metrics, { links, incoming, handlers }: Holdings): void {
  const sum = (amount: (link: Link) => number): number => {
    let total = 0;
    for (const link of links()) total += amount(link);
    return total;
  };
  const count = (open: (link: Link) => boolean): number => sum((link) => (open(link) ? 1 : 0));
  metrics.gauge('quoral_peers', 'Other nodes that this node is to be connected with.', () =>
    count(({ channel }) => channel === 'foreground'),
  );
  metrics.gauge('quoral_peers_reachable', 'Peers that this node can call now.', () =>
    count(({ channel, isOpen }) => channel === 'foreground' && isOpen),
  );
  const connections = (direction: string, read: () => number): void =>
    metrics.gauge('quoral_peer_connections', 'Connections with peers.', read, { direction });
  connections('outgoing', () => count(({ isOpen }) => isOpen));
  connections('incoming', () => incoming().size);
  metrics.gauge('quoral_peer_calls_in_flight', 'Calls to peers that wait for an answer.', () =>
    sum(({ callsInFlight }) => callsInFlight),
  );
  metrics.gauge('quoral_peer_calls_limit', 'Calls that may wait for an answer now, of all peers together.', () =>
    sum(({ inFlightLimit }) => inFlightLimit),
  );
  metrics.gauge('quoral_peer_calls_in_flight_bytes', 'Bytes of the calls to peers that wait for an answer.', () =>
    sum(({ bytesInFlight }) => bytesInFlight),
  );
  metrics.gauge('quoral_peer_queued_bytes', 'Bytes for peers that have not left yet.', () => {
    let bytes = sum(({ queuedBytes }) => queuedBytes);
    for (const { connection } of incoming()) bytes += connection.queuedBytes;
    return bytes;
  });
  metrics.gauge('quoral_peer_handlers_in_flight', 'Requests of peers that are being worked on.', handlers);
}

export function roundTripGauge(metrics: Metrics, peer: string, seconds: () => number): void {
  const help = 'Time to a peer and back, as probes have taken lately; 0 while there is no connection.';
  metrics.gauge('quoral_peer_round_trip_seconds', help, seconds, { peer });
}
