/**
 * What the rooms above see of the network: calls with a deadline to a peer by its name, and handlers for the calls of
 * others. A call never rejects; its result says what is known, in particular whether the request can have been executed.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { Channel, Span } from '#world/world.ts';
import type { MessageType } from './message.ts';

export type CallResult<Reply> =
  | { readonly kind: 'reply'; readonly reply: Reply }
  /** The peer's handler said no; nothing else happened there. */
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string; readonly value: number }
  /**
   * The request was not sent: the peer is not connected, its queue is full, less than a millisecond was left, or the
   * message exceeds the bound. It was certainly not executed.
   */
  | { readonly kind: 'not-sent'; readonly reason: 'unreachable' | 'overloaded' | 'expired' | 'too-large' }
  /** It was sent and no answer came: it may have been executed. */
  | { readonly kind: 'lost'; readonly reason: 'disconnected' | 'timeout' };

/** Whether the time is what was missing. A call's own deadline may pass a moment before that of whatever it is part of. */
export function ranOutOfTime(reason: string): boolean {
  return reason === 'timeout' || reason === 'expired';
}

/**
 * Whose calls a peer that is slow gets last: `background` fill at most half of what may be under way to it, `vital` ones,
 * which ask whether it is there at all, are never held back by the others.
 */
export type Priority = 'vital' | 'work' | 'background';

export interface CallOptions {
  /** An instant of the monotonic clock. The callee gets the time that remains. */
  readonly deadline: number;
  /** `foreground` without it. */
  readonly channel?: Channel;
  /** `work` without it. */
  readonly priority?: Priority;
  /** The step that makes the call, when it is traced: the call and what the callee does become parts of it. */
  readonly trace?: Span | undefined;
}

/** What a handler learns beside the request. */
export interface CallerInfo {
  readonly from: NodeId;
  /** The disk identity that it stated when it proved who it is. */
  readonly storageId?: string;
  /** An instant of this node's monotonic clock. Work not begun by then is not begun at all. */
  readonly deadline: number;
  /** The handler's own span, when the call is traced. It ends with the answer. */
  readonly trace?: Span | undefined;
  /** The connection that the answer leaves on. */
  readonly way?: AnswerWay;
}

export interface AnswerWay {
  /** Bytes that should still be added to what waits to leave; with 0 whoever is about to make a large answer should wait. */
  readonly room: number;
}

export type Handler<Request, Reply> = (request: Request, caller: CallerInfo) => Reply | Promise<Reply>;

/** How a call that was sent came to its end. */
export interface CallEnding {
  /** Of the message, or of the one that it is measured as. */
  readonly name: string;
  readonly result: Exclude<CallResult<never>['kind'], 'not-sent'>;
  /** The code of a refusal, or the reason why there is no answer; empty with a reply. */
  readonly reason: string;
  /** Milliseconds from sending to the end. */
  readonly elapsed: number;
}

export interface Peer {
  readonly id: NodeId;
  /** `host:port` of its peer door. */
  readonly address: string;
  /** Whoever answers at the address is meant, because its name is not known yet; `id` stands for it in calls. */
  readonly seed?: boolean;
}

export interface Messaging {
  /** Registers the one handler of a message type; before {@link start}. */
  handle<Request, Reply>(type: MessageType<Request, Reply>, handler: Handler<Request, Reply>): void;
  /** The peers to stay connected with from now on, this node itself left out. */
  setPeers(peers: readonly Peer[]): void;
  call<Request, Reply>(
    to: NodeId,
    type: MessageType<Request, Reply>,
    request: Request,
    options: CallOptions,
  ): Promise<CallResult<Reply>>;
  /** Hands all queued messages to the operating system now: before work that will hold the thread for long. */
  flush(): void;
  /** True while a verified connection stands and the peer has been heard of lately. */
  reachable(peer: NodeId): boolean;
  /** Messages to the peer that leave together at the end of this turn: one more among them costs neither end a turn of its own. */
  gathered(peer: NodeId): number;
  /** Why the last attempt to connect with the peer failed; undefined when it did not, or none has ended yet. */
  trouble(peer: NodeId): string | undefined;
  /** Milliseconds for which the peer has owed answers to this node's calls and not been heard of; 0 when it owes none. */
  owes(peer: NodeId): number;
  /** Milliseconds to the peer and back, as probes have taken lately; 0 when that is not known. */
  roundTrip(peer: NodeId): number;
  /** The disk identity that the node stated when it last proved who it is; undefined when it never did. */
  storageIdOf(peer: NodeId): string | undefined;
  /** Whether a node of that name with that disk is connected with this one now: two of one name may be, by mistake. */
  isHere(peer: NodeId, storageId: string): boolean;
  /** The protocol version that was agreed on with the node when it connected last; undefined when it never did. */
  versionOf(peer: NodeId): number | undefined;
  /** Calls back whenever {@link reachable} of some peer has changed. */
  onReachability(listener: (peer: NodeId, reachable: boolean) => void): void;
  /** Calls back at the end of every call that was sent. */
  onCallEnd(listener: (peer: NodeId, ending: CallEnding) => void): void;
  /** Calls back with the epoch that a peer states in its handshake and heartbeats. */
  onEpoch(listener: (peer: NodeId, epoch: number) => void): void;
  /** Opens the peer door. */
  start(): Promise<void>;
  /**
   * Tells the peers that this node is about to stop, so that they send it no more calls; those that they have begun, and
   * this node's own, go on.
   */
  announceStop(): void;
  /** Refuses new requests and resolves when those that were begun are answered, or after `patience` milliseconds. */
  drain(patience: number): Promise<void>;
  /** Closes all connections; calls under way end as lost. */
  stop(): Promise<void>;
}
