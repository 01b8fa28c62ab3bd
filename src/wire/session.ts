/**
 * One connection, from its first byte to its end, in either direction: first the handshake, then calls and heartbeats.
 * Whatever is wrong with it ends it, once, with a reason that is logged and told to the other end.
 */

import type { Pieces } from '#kernel/pieces.ts';
import { LARGE_MESSAGE_BYTES, MAX_MESSAGE_BYTES, MAX_QUEUED_BYTES } from '#world/limits.ts';
import type { Seldom } from '#world/seldom.ts';
import type { Connection, ConnectionEvents, LogFields, Timer, World } from '#world/world.ts';
import type { WireCounters } from './counters.ts';
import { decodeEnvelope, encodeEnvelope } from './envelope.ts';
import type { CallEnvelope, Envelope, Heartbeat } from './envelope.ts';
import { DRAINING_VERSION } from './handshake.ts';
import type { Handshake, HandshakeStep, Remote } from './handshake.ts';
import { MalformedMessage } from './message.ts';
import { QueueingDelay } from './queueing-delay.ts';
import { RoundTrips } from './round-trips.ts';
import { SeenCalls } from './seen-calls.ts';
import type { WireSettings } from './settings.ts';

export interface SessionContext {
  readonly world: World;
  readonly settings: WireSettings;
  readonly counters: WireCounters;
  /** What strangers did that was told lately: whoever reaches the door can do as much of it as they like. */
  readonly strangers: Seldom;
  readonly epoch: () => number;
}

export type Direction = 'outgoing' | 'incoming';

export interface SessionEnd {
  readonly reason: string;
  /** Set when the handshake was refused by either side. */
  readonly refused: boolean;
  /** Set when the other end closed the connection, or it broke. */
  readonly left: boolean;
}

export interface SessionOwner {
  /** The other end has proved who it is; called at most once, before all but `ended`. */
  verified(session: Session, remote: Remote): void;
  /** May throw MalformedMessage, which ends the session. */
  received(session: Session, envelope: CallEnvelope): void;
  heartbeat(session: Session, epoch: number): void;
  /** The other end is about to stop and wants no more calls. */
  draining(session: Session): void;
  /** Called once, whatever the reason, and last. */
  ended(session: Session, end: SessionEnd): void;
}

/** From `hello` to `accepted`. */
const HANDSHAKE_ROUND_TRIPS = 2;
/**
 * Of `maxQueuedBytes`, which hold back calls and those who make large answers: what may wait all the same while there are large answers
 * that nobody has held back, and then small ones.
 */
const LARGE_ANSWERS_SHARE = 2;
const SMALL_ANSWERS_SHARE = 3;

export class Session implements ConnectionEvents {
  readonly connection: Connection;
  readonly direction: Direction;
  readonly #context: SessionContext;
  readonly #seen = new SeenCalls();
  readonly #handshake: Handshake;
  readonly #owner: SessionOwner;
  readonly #timer: Timer;
  #remote: Remote | undefined;
  #ended = false;
  #draining = false;
  readonly #openedAt: number;
  readonly #queueing = new QueueingDelay();
  readonly roundTrips = new RoundTrips();
  #heardAt: number;
  /** When something of a message came last, or left: many seconds may pass on a slow way until one is whole. */
  #movedAt: number;
  #pingAt = 0;

  constructor(
    context: SessionContext,
    connection: Connection,
    direction: Direction,
    handshake: Handshake,
    owner: SessionOwner,
  ) {
    const { world, settings } = context;
    this.#context = context;
    this.connection = connection;
    this.direction = direction;
    this.#handshake = handshake;
    this.#owner = owner;
    this.#openedAt = world.clock.monotonic();
    this.#heardAt = this.#openedAt;
    this.#movedAt = this.#openedAt;
    this.#timer = world.clock.after(settings.handshakeTimeout, () =>
      this.end(`no handshake within ${settings.handshakeTimeout} ms`),
    );
    const first = handshake.first();
    if (first !== undefined) this.send(first);
  }

  /** Undefined until the other end has proved who it is. */
  get remote(): Remote | undefined {
    return this.#remote;
  }

  /** All that belongs to the handshake is small. */
  takesLarge(): boolean {
    return this.#remote !== undefined;
  }

  /** When the last message came, by the monotonic clock. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Whole milliseconds since the connection stands. */
  age(now: number): number {
    return Math.floor(now - this.#openedAt);
  }

  /** How long a message of the other end, sent at that age of its end of the connection, has waited on its way. */
  waited(sentAt: number, now: number): number {
    return this.#queueing.of(sentAt, now);
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  /** Whether the other end has been told to send no more calls, and keeps to it. */
  get isDraining(): boolean {
    return this.#draining;
  }

  /** Tells the other end to send no more calls; one that speaks an earlier version would not understand. */
  drain(): void {
    if (this.#draining || this.#remote === undefined || this.#remote.version < DRAINING_VERSION) return;
    this.#draining = true;
    this.send({ kind: 'draining' });
  }

  /** Whether so much waits to leave that nothing should be added. */
  get isCongested(): boolean {
    return this.connection.queuedBytes >= this.#context.settings.maxQueuedBytes;
  }

  get room(): number {
    return Math.max(0, this.#context.settings.maxQueuedBytes - this.connection.queuedBytes);
  }

  /** Whether one more answer, or probe, of so many bytes may wait to leave; a small one passes large ones, and is nearly always welcome. */
  hasRoomFor(bytes: number): boolean {
    const { maxQueuedBytes } = this.#context.settings;
    const most = maxQueuedBytes * (bytes > LARGE_MESSAGE_BYTES ? LARGE_ANSWERS_SHARE : SMALL_ANSWERS_SHARE);
    return this.connection.queuedBytes < Math.min(most, MAX_QUEUED_BYTES - MAX_MESSAGE_BYTES);
  }

  send(envelope: Envelope): void {
    this.sendEncoded(encodeEnvelope(envelope));
  }

  /** Nobody waits for it after `until`, by the monotonic clock. */
  sendEncoded(message: Uint8Array | Pieces, until?: number): void {
    if (this.#ended) return;
    const { counters } = this.#context;
    counters.sentMessages.add();
    counters.sentBytes.add(message.length);
    this.connection.send(message, until);
  }

  end(reason: string, refused = false): void {
    this.#finish({ reason, refused, left: false });
  }

  moved(): void {
    this.#movedAt = this.#context.world.clock.monotonic();
  }

  closed(reason: string): void {
    this.#finish({ reason, refused: false, left: true });
  }

  #finish(end: SessionEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer.cancel();
    this.connection.close(end.reason);
    this.#owner.ended(this, end);
  }

  message(bytes: Uint8Array): void {
    if (this.#ended) return;
    const { world, counters } = this.#context;
    this.#heardAt = world.clock.monotonic();
    counters.receivedMessages.add();
    counters.receivedBytes.add(bytes.length);
    try {
      this.#receive(decodeEnvelope(bytes));
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      this.endMalformed(error);
    }
  }

  endMalformed(error: MalformedMessage): void {
    if (this.#ended) return;
    const { counters, world } = this.#context;
    counters.malformed.add();
    const fields = { ...this.describe(), reason: error.message };
    const isStranger = this.direction === 'incoming' && this.#remote === undefined;
    if (!isStranger || isNews(this.#context, 'malformed', this.connection))
      world.log.warn('peer-malformed-message', fields);
    else world.log.debug('peer-malformed-message', fields);
    this.end(`malformed message: ${error.message}`);
  }

  /**
   * To be called a few times per heartbeat interval: pings when a ping is due, says unasked that a message is on its way, and ends a
   * connection that has fallen silent. After a time in which this whole process stood still, silence means nothing.
   */
  tick(now: number, stoodStill: boolean): void {
    if (this.#ended || this.#remote === undefined) return;
    const { settings, epoch } = this.#context;
    if (stoodStill) this.#heardAt = now;
    const silence = now - Math.max(this.#heardAt, this.#movedAt);
    if (silence > settings.silenceLimit) {
      this.end(`nothing heard for ${Math.round(silence)} ms`);
    } else if (this.direction === 'outgoing' && now >= this.#pingAt) {
      this.#pingAt = now + settings.heartbeatInterval;
      this.send({ kind: 'ping', epoch: epoch() });
      this.connection.flush();
    } else if (this.direction === 'incoming' && this.#isArriving(now)) {
      // Part of a large message: on a slow way its sender sees nothing of it arrive once its operating system has taken it all, and
      // its pings come behind it.
      this.#pingAt = now + settings.heartbeatInterval;
      this.send({ kind: 'pong', epoch: epoch() });
      this.connection.flush();
    }
  }

  /** Whether more of a message has come since a whole one was heard, and since the other end was told so. */
  #isArriving(now: number): boolean {
    const toldAt = this.#pingAt - this.#context.settings.heartbeatInterval;
    return now >= this.#pingAt && this.#movedAt > Math.max(this.#heardAt, toldAt);
  }

  /** For log lines. */
  describe(): LogFields {
    const { channel, remote } = this.connection;
    return { peer: this.#remote?.id, direction: this.direction, channel, remote };
  }

  #receive(envelope: Envelope): void {
    switch (envelope.kind) {
      case 'hello':
      case 'welcome':
      case 'proof':
      case 'accepted':
      case 'refused':
        if (this.#remote !== undefined) throw new MalformedMessage(`${envelope.kind} after the handshake`);
        this.#advance(this.#handshake.receive(envelope));
        return;
      case 'ping':
      case 'pong':
        this.#receiveHeartbeat(envelope);
        return;
      case 'request':
        this.#assertDirection(envelope.kind, 'incoming');
        if (this.#seen.begins(envelope.callId)) this.#owner.received(this, envelope);
        else this.#context.counters.repeated.add();
        return;
      case 'reply':
      case 'refusal':
        this.#assertDirection(envelope.kind, 'outgoing');
        this.#owner.received(this, envelope);
        return;
      case 'draining':
        this.#assertDirection(envelope.kind, 'outgoing');
        this.#owner.draining(this);
        return;
      case 'goodbye':
        this.end(`the peer said goodbye: ${envelope.reason}`);
        return;
    }
  }

  #receiveHeartbeat(heartbeat: Heartbeat): void {
    this.#assertDirection(heartbeat.kind, heartbeat.kind === 'ping' ? 'incoming' : 'outgoing');
    if (heartbeat.kind === 'ping') this.send({ kind: 'pong', epoch: this.#context.epoch() });
    this.#owner.heartbeat(this, heartbeat.epoch);
  }

  #assertDirection(kind: string, direction: Direction): void {
    if (this.#remote === undefined) throw new MalformedMessage(`${kind} before the end of the handshake`);
    if (this.direction !== direction) throw new MalformedMessage(`${kind} from the wrong end of a connection`);
  }

  #advance(step: HandshakeStep): void {
    if (step.send !== undefined) this.send(step.send);
    if (step.kind === 'refused') {
      this.#refused(step);
    } else if (step.kind === 'verified') {
      this.#timer.cancel();
      this.#remote = step.remote;
      this.#pingAt = this.#heardAt + this.#context.settings.heartbeatInterval;
      if (this.direction === 'outgoing') this.roundTrips.took((this.#heardAt - this.#openedAt) / HANDSHAKE_ROUND_TRIPS);
      this.#context.counters.handshakes.verified.add();
      this.#owner.verified(this, step.remote);
    }
  }

  #refused(step: HandshakeStep & { readonly kind: 'refused' }): void {
    const { by, reason, detail, claimed } = step;
    const { counters, strangers, world } = this.#context;
    const { remote } = this.connection;
    counters.handshakes.refused.add();
    const fields = {
      ...this.describe(),
      claimedId: claimed?.id,
      claimedStorageId: claimed?.storageId,
      claimedClusterId: claimed?.clusterId,
      reason,
      detail,
    };
    if (by === 'us' ? isNews(this.#context, reason, this.connection) : strangers.isNews(`${reason} ${remote}`))
      world.log.warn(by === 'us' ? 'peer-refused' : 'refused-by-peer', fields);
    else world.log.debug(by === 'us' ? 'peer-refused' : 'refused-by-peer', fields);
    this.end(by === 'us' ? `refused: ${reason}` : `refused by the peer: ${reason}`, true);
  }
}

/** Whether a stranger has not done that lately. Its port is another one each time, and what it claims to be is up to it. */
export function isNews({ strangers }: SessionContext, what: string, { remote }: Connection): boolean {
  return strangers.isNews(`${what} ${remote.replace(/:\d+$/, '')}`);
}
