/**
 * The connection that this node opens to one peer on one channel, for its own calls: dialed, kept, and dialed again after
 * exponential backoff with full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015), so that nodes that lost the
 * same peer at once do not return at once.
 *
 * The foreground link is always wanted. The bulk link is opened by the first call that needs it, and after a loss by the
 * next.
 */

import { assert } from '#kernel/assert.ts';
import type { Channel, Connection, ConnectionEvents, Histogram, Timer } from '#world/world.ts';
import { PendingCalls } from './calls.ts';
import type { Unanswered } from './calls.ts';
import { callSeconds, type CallEnd, type NotSentReason } from './counters.ts';
import { encodeCall } from './envelope.ts';
import type { CallEnvelope } from './envelope.ts';
import type { Handshake, Remote } from './handshake.ts';
import { MalformedMessage } from './message.ts';
import type { MessageType } from './message.ts';
import { InFlightLimit } from './in-flight-limit.ts';
import type { CallEnding, CallOptions, Priority, CallResult, Peer } from './messaging.ts';
import { SentCall, type SentCallOwner } from './sent-call.ts';
import { Session } from './session.ts';
import type { SessionContext, SessionEnd, SessionOwner } from './session.ts';

export interface LinkOwner {
  handshakeWith(peer: Peer, connection: Connection): Handshake;
  opened(link: Link, remote: Remote): void;
  heartbeat(link: Link, epoch: number): void;
  /** Called at the end of each call that was sent. */
  callEnded(link: Link, ending: CallEnding): void;
  /** The peer cannot be called any more; calls under way have ended, or end while it is stopping. */
  lost(link: Link): void;
}

/**
 * `idle`: not wanted yet. `draining`: the peer is about to stop, so calls under way end and no others begin. `waiting`: until
 * the next attempt. `closed`: for ever.
 */
type State = 'idle' | 'dialing' | 'open' | 'draining' | 'waiting' | 'closed';

const DISCONNECTED: Unanswered = { kind: 'lost', reason: 'disconnected' };
const IGNORE: ConnectionEvents = { message: () => undefined, closed: () => undefined };

export class Link implements SessionOwner, SentCallOwner {
  readonly peer: Peer;
  readonly channel: Channel;
  readonly #context: SessionContext;
  readonly #owner: LinkOwner;
  readonly #seconds: Histogram;
  readonly #limit: InFlightLimit;
  #state: State = 'idle';
  #session: Session | undefined;
  #calls: PendingCalls;
  /** Calls that wait for the end of the present attempt to open the link. */
  readonly #waiters = new Set<() => void>();
  #owedSince = 0;
  #attempt = 0;
  #failures = 0;
  #openedAt = 0;
  /** Whether the owner believes that the peer can be called. */
  #isUp = false;
  #retry: Timer | undefined;
  #lastTrouble = '';
  #trouble: string | undefined;

  constructor(context: SessionContext, peer: Peer, channel: Channel, owner: LinkOwner) {
    this.#context = context;
    this.peer = peer;
    this.channel = channel;
    this.#owner = owner;
    this.#calls = new PendingCalls(context.world.clock);
    this.#seconds = callSeconds(context.world.metrics, peer.id);
    this.#limit = new InFlightLimit(context.settings.maxInFlightPerPeer);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Why the last attempt to open it failed; undefined when it did not. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  get callsInFlight(): number {
    return this.#calls.size;
  }

  /** How many calls may wait for an answer now. */
  get inFlightLimit(): number {
    return this.#limit.limit;
  }

  /** Bytes of the requests that wait for an answer. */
  get bytesInFlight(): number {
    return this.#calls.bytes;
  }

  /** Bytes that the operating system has not taken yet. */
  get queuedBytes(): number {
    return this.#session?.connection.queuedBytes ?? 0;
  }

  /** Messages that wait for the end of this turn. */
  get gathered(): number {
    return this.#session?.connection.gathered ?? 0;
  }

  /** Milliseconds to the peer and back; 0 when that is not known. */
  get roundTrip(): number {
    return this.#session?.roundTrips.typical ?? 0;
  }

  /** Milliseconds since the peer has owed answers and nothing was heard of it; 0 when it owes none. */
  owes(now: number): number {
    if (this.#calls.size === 0 || this.#session === undefined) return 0;
    return Math.max(0, now - Math.max(this.#owedSince, this.#session.heardAt));
  }

  /** Dials at once unless the link stands, is being dialed, or waits for its next attempt. */
  dial(): void {
    if (this.#state === 'idle') this.#dial();
  }

  /** Ends the wait for the next attempt, because the peer has shown signs of life. */
  peerIsUp(): void {
    if (this.#state === 'waiting') this.#endWait();
  }

  call<Request, Reply>(
    type: MessageType<Request, Reply>,
    request: Request,
    options: CallOptions,
  ): Promise<CallResult<Reply>> {
    const { deadline } = options;
    assert(Number.isFinite(deadline), `a call of ${type.name} has no deadline`);
    if (this.isOpen) return this.#callNow(type, request, options);
    const openable = this.channel === 'bulk' && (this.#state === 'idle' || this.#state === 'dialing');
    if (!openable) return this.#notSent('unreachable');
    if (this.#waiters.size >= this.#context.settings.maxInFlightPerPeer) return this.#notSent('overloaded');
    this.dial();
    return this.#attemptEnds(deadline).then(() => this.#callNow(type, request, options));
  }

  flush(): void {
    this.#session?.connection.flush();
  }

  tick(now: number, stoodStill: boolean): void {
    this.#session?.tick(now, stoodStill);
    this.#endIfDrained();
  }

  close(reason: string): void {
    if (this.#state === 'closed') return;
    this.#retry?.cancel();
    if (this.isOpen) this.#session?.send({ kind: 'goodbye', reason });
    const session = this.#session;
    if (session === undefined) this.#notOpen('closed');
    else {
      this.#state = 'closed';
      session.end(reason);
    }
  }

  verified(session: Session, remote: Remote): void {
    const { clock, log } = this.#context.world;
    this.#state = 'open';
    this.#openedAt = clock.monotonic();
    this.#lastTrouble = '';
    this.#trouble = undefined;
    this.#isUp = true;
    log.info('peer-connected', { ...session.describe(), version: remote.version, epoch: remote.epoch });
    this.#wakeWaiters();
    this.#owner.opened(this, remote);
  }

  received(_session: Session, envelope: CallEnvelope): void {
    assert(envelope.kind !== 'request', 'a session lets requests through on incoming connections only');
    const call = this.#calls.get(envelope.callId);
    if (call === undefined) {
      if (!this.#calls.knows(envelope.callId)) throw new MalformedMessage(`no call has the id ${envelope.callId}`);
      this.#context.counters.lateReplies.add();
    } else if (envelope.kind === 'refusal') {
      this.#calls.delete(envelope.callId);
      const { code, detail, value } = envelope;
      call.unanswered({ kind: 'refused', code, detail, value });
    } else {
      // A body that does not fit ends the session, and this call with it: it is still in the table then.
      call.reply(envelope.body);
      this.#calls.delete(envelope.callId);
    }
    this.#endIfDrained();
  }

  draining(session: Session): void {
    if (!this.isOpen) return;
    this.#state = 'draining';
    this.#context.world.log.info('peer-stopping', { ...session.describe(), callsUnderWay: this.#calls.size });
    this.#tellLost();
    this.#endIfDrained();
  }

  heartbeat(_session: Session, epoch: number): void {
    this.#owner.heartbeat(this, epoch);
  }

  ended(session: Session, end: SessionEnd): void {
    const { clock, log } = this.#context.world;
    const { steadyAfter } = this.#context.settings;
    if (session.remote === undefined) {
      this.#trouble = end.reason;
      // The session has logged a refusal already, with all that is known.
      if (!end.refused && this.#state !== 'closed') this.#logTrouble(end.reason);
    } else {
      log.warn('peer-disconnected', { ...session.describe(), reason: end.reason, callsLost: this.#calls.size });
      if (clock.monotonic() - this.#openedAt >= steadyAfter) this.#failures = 0;
    }
    this.#notOpen(this.#state === 'closed' ? 'closed' : 'waiting');
  }

  #callNow<Request, Reply>(
    type: MessageType<Request, Reply>,
    request: Request,
    { deadline, trace, priority = 'work' }: CallOptions,
  ): Promise<CallResult<Reply>> {
    const { world, settings } = this.#context;
    const calls = this.#calls;
    const session = this.#session;
    if (session === undefined || !this.isOpen) return this.#notSent('unreachable');
    // A probe is small and leaves before all that is large.
    const mayLeave =
      priority === 'vital' ? session.hasRoomFor(0) : calls.bytes < settings.maxInFlightBytes && !session.isCongested;
    if (!mayLeave || calls.size >= this.#mostInFlight(priority)) return this.#notSent('overloaded');
    const startedAt = world.clock.monotonic();
    const remaining = Math.floor(deadline - startedAt);
    if (remaining < 1) return this.#notSent('expired');
    const body = type.encodeRequest(request);
    const span = trace?.child(type.name, 'client');
    const sentAt = session.age(startedAt);
    const { name } = type;
    const callId = calls.nextId;
    const message = encodeCall({ kind: 'request', callId, name, remaining, body, trace: span?.parent, sentAt });
    if (message.length > settings.maxMessageBytes) {
      span?.end('too-large');
      return this.#notSent('too-large');
    }
    span?.set('server.address', this.peer.id);
    if (calls.size === 0) this.#owedSince = startedAt;
    return new Promise((resolve) => {
      calls.add(new SentCall(this, type, { deadline, bytes: message.length, startedAt, priority, span, resolve }));
      session.sendEncoded(message, deadline);
    });
  }

  /** A call that was sent has come to its end. */
  callEnded(name: string, result: CallEnding['result'], reason: string, startedAt: number, priority: Priority): void {
    const now = this.#context.world.clock.monotonic();
    const elapsed = now - startedAt;
    if (result === 'reply') this.#seconds.observe(elapsed / 1000);
    // A probe is given up early, to know soon: that says nothing of how much work the peer can take.
    if (priority === 'vital') {
      if (result === 'reply') this.#session?.roundTrips.took(elapsed);
    } else this.#limit.ended(result, reason, this.#calls.size, now);
    this.#owner.callEnded(this, { name, result, reason, elapsed });
  }

  countEnd(end: CallEnd): void {
    this.#context.counters.calls[end].add();
  }

  #mostInFlight(priority: Priority): number {
    if (priority === 'vital') return this.#context.settings.maxInFlightPerPeer;
    return priority === 'work' ? this.#limit.limit : this.#limit.limit / 2;
  }

  #notSent(reason: NotSentReason): Promise<CallResult<never>> {
    this.#context.counters.calls[reason].add();
    return Promise.resolve({ kind: 'not-sent', reason });
  }

  #attemptEnds(deadline: number): Promise<void> {
    const { clock } = this.#context.world;
    return new Promise((resolve) => {
      const go = (): void => {
        timer.cancel();
        this.#waiters.delete(go);
        resolve();
      };
      const timer = clock.after(Math.max(0, deadline - clock.monotonic()), go);
      this.#waiters.add(go);
    });
  }

  #wakeWaiters(): void {
    for (const go of [...this.#waiters]) go();
  }

  #dial(): void {
    const { world, settings } = this.#context;
    const attempt = ++this.#attempt;
    this.#state = 'dialing';
    this.#session = undefined;
    world.network
      .connect(this.peer.address, this.channel, settings.connectTimeout, (connection) =>
        this.#connected(attempt, connection),
      )
      .catch((error: unknown) => this.#dialFailed(attempt, error));
  }

  #connected(attempt: number, connection: Connection): ConnectionEvents {
    if (this.#state !== 'dialing' || attempt !== this.#attempt) {
      connection.close('not needed any more');
      return IGNORE;
    }
    const handshake = this.#owner.handshakeWith(this.peer, connection);
    this.#session = new Session(this.#context, connection, 'outgoing', handshake, this);
    return this.#session;
  }

  #dialFailed(attempt: number, error: unknown): void {
    if (this.#state !== 'dialing' || attempt !== this.#attempt || this.#session !== undefined) return;
    this.#trouble = error instanceof Error ? error.message : String(error);
    this.#logTrouble(this.#trouble);
    this.#notOpen('waiting');
  }

  /** Every way out of `dialing` and `open` ends here. */
  #notOpen(next: 'waiting' | 'closed'): void {
    this.#session = undefined;
    this.#state = next;
    const calls = this.#calls;
    this.#calls = new PendingCalls(this.#context.world.clock);
    calls.end(DISCONNECTED);
    this.#wakeWaiters();
    if (next === 'waiting') this.#waitToRetry();
    this.#tellLost();
  }

  #tellLost(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#owner.lost(this);
  }

  /** The end of the connection tells a stopping peer that nothing of this node is under way there. */
  #endIfDrained(): void {
    if (this.#state === 'draining' && this.#calls.size === 0) this.#session?.end('the peer is stopping');
  }

  #waitToRetry(): void {
    const { world, settings } = this.#context;
    const ceiling = Math.min(settings.reconnectLongest, settings.reconnectFirst * 2 ** this.#failures);
    const delay = (world.random.uint32() / 2 ** 32) * ceiling;
    if (ceiling < settings.reconnectLongest) this.#failures++;
    this.#retry = world.clock.after(delay, () => this.#endWait());
  }

  #endWait(): void {
    this.#retry?.cancel();
    this.#state = 'idle';
    if (this.channel === 'foreground') this.#dial();
  }

  /** A peer that stays away is worth one line, not one at each attempt. */
  #logTrouble(reason: string): void {
    const { log } = this.#context.world;
    const fields = { peer: this.peer.id, channel: this.channel, address: this.peer.address, reason };
    if (reason === this.#lastTrouble) log.debug('peer-unreachable', fields);
    else log.warn('peer-unreachable', fields);
    this.#lastTrouble = reason;
  }
}
