/**
 * What this room counts.
 */

import type { Counter, Histogram, Metrics } from '#world/world.ts';
import type { CallResult } from './messaging.ts';

export type CallEnd = 'reply' | 'refused' | NotSentReason | LostReason;
export type NotSentReason = Extract<CallResult<never>, { kind: 'not-sent' }>['reason'];
export type LostReason = Extract<CallResult<never>, { kind: 'lost' }>['reason'];

export interface WireCounters {
  readonly calls: Readonly<Record<CallEnd, Counter>>;
  readonly lateReplies: Counter;
  readonly handled: Counter;
  readonly refused: (code: string) => Counter;
  readonly malformed: Counter;
  readonly repeated: Counter;
  readonly handshakes: Readonly<Record<'verified' | 'refused', Counter>>;
  readonly sentMessages: Counter;
  readonly receivedMessages: Counter;
  readonly sentBytes: Counter;
  readonly receivedBytes: Counter;
}

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** Peers are members of the ring, so their names are a closed list. */
export function callSeconds(metrics: Metrics, peer: string): Histogram {
  return metrics.histogram('quoral_peer_call_seconds', 'Time from a call to a peer to its reply.', SECONDS, { peer });
}

export function wireCounters(metrics: Metrics): WireCounters {
  const calls = (end: CallEnd): Counter =>
    metrics.counter('quoral_peer_calls_total', 'Calls to peers, by how they ended.', { end });
  const handshake = (outcome: string): Counter =>
    metrics.counter('quoral_peer_handshakes_total', 'Handshakes with peers, by outcome.', { outcome });
  const messages = (direction: string): Counter =>
    metrics.counter('quoral_peer_messages_total', 'Messages to and from peers.', { direction });
  const bytes = (direction: string): Counter =>
    metrics.counter('quoral_peer_bytes_total', 'Bytes of messages to and from peers.', { direction });
  const refused = (code: string): Counter =>
    metrics.counter('quoral_peer_requests_refused_total', 'Requests of peers that were refused, by code.', { code });
  refused('overloaded');
  return {
    calls: {
      reply: calls('reply'),
      refused: calls('refused'),
      unreachable: calls('unreachable'),
      overloaded: calls('overloaded'),
      expired: calls('expired'),
      'too-large': calls('too-large'),
      disconnected: calls('disconnected'),
      timeout: calls('timeout'),
    },
    lateReplies: metrics.counter('quoral_peer_late_replies_total', 'Replies to calls that were already given up.'),
    handled: metrics.counter('quoral_peer_requests_handled_total', 'Requests of peers that were answered.'),
    refused,
    repeated: metrics.counter(
      'quoral_peer_repeated_requests_total',
      'Requests that came twice; the second is dropped.',
    ),
    malformed: metrics.counter('quoral_peer_malformed_messages_total', 'Messages that closed their connection.'),
    handshakes: { verified: handshake('verified'), refused: handshake('refused') },
    sentMessages: messages('sent'),
    receivedMessages: messages('received'),
    sentBytes: bytes('sent'),
    receivedBytes: bytes('received'),
  };
}
