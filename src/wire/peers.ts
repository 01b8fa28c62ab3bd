/**
 * This node's view of all others: a foreground and a bulk link to each peer for its own calls, and the connections that
 * others have opened for theirs. Answers return on the connection that the request came on.
 */

import { assert } from '#kernel/assert.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { Channel, Connection, ConnectionEvents, Listener, Timer, World } from '#world/world.ts';
import { certifierFor } from './certified.ts';
import { Seldom } from '#world/seldom.ts';
import { wireCounters } from './counters.ts';
import { Dispatch } from './dispatch.ts';
import { MAXIMUM_FOUNDERS_LENGTH, NONCE_BYTES, type CallEnvelope } from './envelope.ts';
import { acceptorHandshake, dialerHandshake, PROTOCOL_VERSIONS } from './handshake.ts';
import type { Handshake, HandshakeOptions, Remote, VersionRange } from './handshake.ts';
import { roundTripGauge, wireGauges } from './gauges.ts';
import { Link, type LinkOwner } from './link.ts';
import type { MessageType } from './message.ts';
import type { CallEnding, CallOptions, CallResult, Handler, Messaging, Peer } from './messaging.ts';
import { isNews, Session, type SessionContext, type SessionEnd, type SessionOwner } from './session.ts';
import { checkWireSettings, DEFAULT_WIRE_SETTINGS, type WireSettings } from './settings.ts';

export interface WireOptions {
  readonly world: World;
  readonly self: {
    readonly id: NodeId;
    readonly storageId: string;
    /** Empty as long as this node wants to join a cluster and knows none; then it must be read anew each time. */
    readonly clusterId: string;
    /** The founders' list that the cluster id was made of, for the log of a node that belongs to another cluster. */
    readonly foundersText: string;
  };
  /** What all nodes of the cluster share. */
  readonly secret: Uint8Array;
  /** The newest epoch that this node knows; stated in handshakes and heartbeats. */
  readonly epoch: () => number;
  /** In place of the defaults. */
  readonly settings?: Partial<WireSettings>;
  /** In place of {@link PROTOCOL_VERSIONS}. */
  readonly versions?: VersionRange | undefined;
}

/** Throws RangeError for a setting out of its bounds. */
export function createMessaging(options: WireOptions): Messaging {
  return new Peers(options);
}

/** Heartbeats and silence are looked at this often within one heartbeat interval. */
const TICKS_PER_HEARTBEAT = 4;
const NOT_SENT: CallResult<never> = { kind: 'not-sent', reason: 'unreachable' };
const REFUSED: ConnectionEvents = { message: () => undefined, closed: () => undefined };

/** Undefined for a seed: what goes by its address is no name that others know. */
function nameOf(peer: Peer): NodeId | undefined {
  return peer.seed === true ? undefined : peer.id;
}

class Peers implements Messaging, LinkOwner, SessionOwner {
  readonly #options: WireOptions;
  readonly #settings: WireSettings;
  readonly #context: SessionContext;
  readonly #dispatch: Dispatch;
  readonly #links = new Map<NodeId, Readonly<Record<Channel, Link>>>();
  readonly #incoming = new Set<Session>();
  readonly #versions = new Map<NodeId, number>();
  readonly #storageIds = new Map<NodeId, string>();
  readonly #reachabilityListeners: ((peer: NodeId, reachable: boolean) => void)[] = [];
  readonly #callListeners: ((peer: NodeId, ending: CallEnding) => void)[] = [];
  readonly #epochListeners: ((peer: NodeId, epoch: number) => void)[] = [];
  #unverified = 0;
  /** A stop was announced: no more connections are taken. */
  #leaving = false;
  #whenCallersGone: (() => void) | undefined;
  #phase: 'new' | 'running' | 'stopped' = 'new';
  #listener: Listener | undefined;
  #timer: Timer | undefined;
  #tickedAt = 0;

  constructor(options: WireOptions) {
    const { world, epoch } = options;
    this.#options = options;
    this.#settings = { ...DEFAULT_WIRE_SETTINGS, ...options.settings };
    checkWireSettings(this.#settings);
    const counters = wireCounters(world.metrics);
    const strangers = new Seldom(() => world.clock.monotonic());
    this.#context = { world, settings: this.#settings, counters, strangers, epoch };
    this.#dispatch = new Dispatch(this.#context);
    wireGauges(world.metrics, {
      links: () => this.#allLinks(),
      incoming: () => this.#incoming,
      handlers: () => this.#dispatch.running,
    });
  }

  handle<Request, Reply>(type: MessageType<Request, Reply>, handler: Handler<Request, Reply>): void {
    assert(this.#phase === 'new', `the handler of ${type.name} comes after the start`);
    this.#dispatch.register(type, handler);
  }

  setPeers(peers: readonly Peer[]): void {
    // What a node learns while it stops concerns the next process.
    if (this.#phase === 'stopped') return;
    const wanted = new Map(peers.map((peer) => [peer.id, peer]));
    assert(wanted.size === peers.length, 'a peer is named twice');
    assert(!wanted.has(this.#options.self.id), 'a node is no peer of its own');
    for (const [id, links] of [...this.#links]) {
      if (wanted.get(id)?.address !== links.foreground.peer.address) this.#dropLinks(id, links);
    }
    for (const peer of peers) {
      if (!this.#links.has(peer.id)) this.#addLinks(peer);
    }
  }

  call<Request, Reply>(
    to: NodeId,
    type: MessageType<Request, Reply>,
    request: Request,
    options: CallOptions,
  ): Promise<CallResult<Reply>> {
    assert(to !== this.#options.self.id, `a call of ${type.name} goes to the calling node`);
    const links = this.#links.get(to);
    if (links === undefined || this.#phase !== 'running') {
      this.#context.counters.calls.unreachable.add();
      return Promise.resolve(NOT_SENT);
    }
    return links[options.channel ?? 'foreground'].call(type, request, options);
  }

  flush(): void {
    for (const { foreground, bulk } of this.#links.values()) {
      foreground.flush();
      bulk.flush();
    }
    for (const session of this.#incoming) session.connection.flush();
  }

  versionOf(peer: NodeId): number | undefined {
    return this.#versions.get(peer);
  }

  reachable(peer: NodeId): boolean {
    return this.#links.get(peer)?.foreground.isOpen ?? false;
  }

  gathered(peer: NodeId): number {
    return this.#links.get(peer)?.foreground.gathered ?? 0;
  }

  trouble(peer: NodeId): string | undefined {
    return this.#links.get(peer)?.foreground.trouble;
  }

  owes(peer: NodeId): number {
    return this.#links.get(peer)?.foreground.owes(this.#options.world.clock.monotonic()) ?? 0;
  }

  roundTrip(peer: NodeId): number {
    return this.#links.get(peer)?.foreground.roundTrip ?? 0;
  }

  storageIdOf(peer: NodeId): string | undefined {
    return this.#storageIds.get(peer);
  }

  isHere(peer: NodeId, storageId: string): boolean {
    return [...this.#incoming].some(({ remote }) => remote?.id === peer && remote.storageId === storageId);
  }

  onReachability(listener: (peer: NodeId, reachable: boolean) => void): void {
    this.#reachabilityListeners.push(listener);
  }

  onCallEnd(listener: (peer: NodeId, ending: CallEnding) => void): void {
    this.#callListeners.push(listener);
  }

  onEpoch(listener: (peer: NodeId, epoch: number) => void): void {
    this.#epochListeners.push(listener);
  }

  async start(): Promise<void> {
    assert(this.#phase === 'new', 'messaging is started twice');
    this.#phase = 'running';
    const { clock, network } = this.#options.world;
    const listener = await network.listen((connection) => this.#accept(connection));
    if (this.#isStopped()) return listener.close();
    this.#listener = listener;
    this.#tickedAt = clock.monotonic();
    this.#scheduleTick();
    for (const links of this.#links.values()) links.foreground.dial();
  }

  announceStop(): void {
    this.#leaving = true;
    for (const session of this.#incoming) session.drain();
  }

  async drain(patience: number): Promise<void> {
    const { clock } = this.#options.world;
    this.announceStop();
    this.#dispatch.refuse();
    await new Promise<void>((resolve) => {
      const timer = clock.after(patience, resolve);
      void this.#callersGone()
        .then(() => this.#dispatch.idle())
        .then(() => {
          timer.cancel();
          resolve();
        });
    });
  }

  async stop(): Promise<void> {
    this.#phase = 'stopped';
    this.#timer?.cancel();
    for (const [id, links] of [...this.#links]) this.#dropLinks(id, links);
    for (const session of [...this.#incoming]) {
      if (session.remote !== undefined) session.send({ kind: 'goodbye', reason: 'stopping' });
      session.end('stopping');
    }
    await this.#listener?.close();
  }

  // --- Links -----------------------------------------------------------------------------------------------------

  handshakeWith(peer: Peer, connection: Connection): Handshake {
    return dialerHandshake(this.#handshakeOptions(connection, peer), peer.seed === true ? '' : peer.id);
  }

  opened(link: Link, remote: Remote): void {
    this.#noteRemote(remote);
    if (link.channel === 'foreground') {
      this.#links.get(link.peer.id)?.bulk.peerIsUp();
      this.#tellReachability(link.peer.id, true);
    }
    this.#tellEpoch(remote.id, remote.epoch);
  }

  lost(link: Link): void {
    if (link.channel === 'foreground') this.#tellReachability(link.peer.id, false);
  }

  callEnded(link: Link, ending: CallEnding): void {
    for (const listener of this.#callListeners) listener(link.peer.id, ending);
  }

  // --- Connections of others; `heartbeat` serves both directions -------------------------------------------------

  verified(session: Session, remote: Remote): void {
    this.#unverified--;
    const { channel } = session.connection;
    this.#options.world.log.info('peer-connected', { ...session.describe(), epoch: remote.epoch });
    for (const other of [...this.#incoming]) {
      if (other === session || other.connection.channel !== channel) continue;
      // One that bears the same name with another disk is another node: one of them is mistaken, and this is not the place to say which.
      if (other.remote?.id === remote.id && other.remote.storageId === remote.storageId)
        other.end('superseded by a newer connection');
    }
    this.#noteRemote(remote);
    if (this.#leaving) session.drain();
    // It has just shown that it is up: no reason to wait any longer.
    const links = this.#links.get(remote.id);
    links?.foreground.peerIsUp();
    links?.bulk.peerIsUp();
    this.#tellEpoch(remote.id, remote.epoch);
  }

  received(session: Session, envelope: CallEnvelope): void {
    assert(envelope.kind === 'request', 'a session lets answers through on outgoing connections only');
    this.#dispatch.dispatch(session, envelope);
  }

  heartbeat(from: Session | Link, epoch: number): void {
    const id = from instanceof Link ? nameOf(from.peer) : from.remote?.id;
    if (id !== undefined) this.#tellEpoch(id, epoch);
  }

  draining(): void {
    assert(false, 'a session lets this through on outgoing connections only');
  }

  ended(session: Session, end: SessionEnd): void {
    const { log } = this.#options.world;
    this.#incoming.delete(session);
    this.#checkCallersGone();
    if (session.remote === undefined) this.#unverified--;
    const fields = { ...session.describe(), reason: end.reason };
    if (session.remote !== undefined) log.info('peer-disconnected', fields);
    // Who goes away again has given up, or was looking whether the door is open.
    else if (end.left) log.debug('peer-went-unverified', fields);
    else if (end.refused) return;
    else if (isNews(this.#context, 'left', session.connection)) log.warn('peer-left-unverified', fields);
    else log.debug('peer-left-unverified', fields);
  }

  /** Peers that were told of the stop hang up when all that they have begun here is answered. */
  async #callersGone(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#whenCallersGone = resolve;
      this.#checkCallersGone();
    });
  }

  #checkCallersGone(): void {
    if (this.#whenCallersGone === undefined) return;
    for (const { isDraining } of this.#incoming) if (isDraining) return;
    this.#whenCallersGone();
  }

  #accept(connection: Connection): ConnectionEvents {
    const { maxIncomingConnections, maxUnverifiedConnections } = this.#settings;
    const full = this.#incoming.size >= maxIncomingConnections || this.#unverified >= maxUnverifiedConnections;
    if (this.#phase !== 'running' || this.#leaving || full) {
      const reason = full ? 'too many connections' : 'stopping';
      const { log } = this.#options.world;
      const fields = { remote: connection.remote, reason };
      if (isNews(this.#context, reason, connection)) log.warn('peer-turned-away', fields);
      else log.debug('peer-turned-away', fields);
      connection.close(reason);
      return REFUSED;
    }
    const handshake = acceptorHandshake(this.#handshakeOptions(connection));
    const session = new Session(this.#context, connection, 'incoming', handshake, this);
    this.#unverified++;
    this.#incoming.add(session);
    return session;
  }

  #handshakeOptions(connection: Connection, dialed?: Peer): HandshakeOptions {
    const { world, self, secret, epoch, versions = PROTOCOL_VERSIONS } = this.#options;
    return {
      self: { id: self.id, storageId: self.storageId, clusterId: self.clusterId },
      founders: self.foundersText.slice(0, MAXIMUM_FOUNDERS_LENGTH),
      epoch: epoch(),
      secret,
      nonce: world.random.bytes(NONCE_BYTES),
      digest: world.digest,
      versions,
      certifies: certifierFor(connection, (id) => this.#links.get(id)?.foreground.peer.address ?? dialed?.address),
    };
  }

  #addLinks(peer: Peer): void {
    const foreground = new Link(this.#context, peer, 'foreground', this);
    const bulk = new Link(this.#context, peer, 'bulk', this);
    this.#links.set(peer.id, { foreground, bulk });
    roundTripGauge(this.#context.world.metrics, peer.id, () => this.roundTrip(peer.id) / 1000);
    if (this.#phase === 'running') foreground.dial();
  }

  #dropLinks(id: NodeId, links: Readonly<Record<Channel, Link>>): void {
    const reason = this.#isStopped() ? 'stopping' : 'no longer a peer at this address';
    links.foreground.close(reason);
    links.bulk.close(reason);
    this.#links.delete(id);
  }

  #isStopped(): boolean {
    return this.#phase === 'stopped';
  }

  #scheduleTick(): void {
    const interval = this.#settings.heartbeatInterval / TICKS_PER_HEARTBEAT;
    this.#timer = this.#options.world.clock.after(interval, () => this.#tick());
  }

  /** All timers of a process that stood still fire at once when it goes on, before it reads what has come meanwhile. */
  #tick(): void {
    const now = this.#options.world.clock.monotonic();
    const stoodStill = now - this.#tickedAt > this.#settings.heartbeatInterval;
    this.#tickedAt = now;
    for (const { foreground, bulk } of this.#links.values()) {
      foreground.tick(now, stoodStill);
      bulk.tick(now, stoodStill);
    }
    for (const session of [...this.#incoming]) session.tick(now, stoodStill);
    this.#scheduleTick();
  }

  #noteRemote(remote: Remote): void {
    this.#versions.set(remote.id, remote.version);
    const before = this.#storageIds.get(remote.id);
    this.#storageIds.set(remote.id, remote.storageId);
    if (before !== undefined && before !== remote.storageId) {
      this.#options.world.log.warn('peer-storage-changed', { peer: remote.id, before, now: remote.storageId });
    }
  }

  #tellReachability(peer: NodeId, reachable: boolean): void {
    for (const listener of this.#reachabilityListeners) listener(peer, reachable);
  }

  #tellEpoch(peer: NodeId, epoch: number): void {
    for (const listener of this.#epochListeners) listener(peer, epoch);
  }

  *#allLinks(): Generator<Link> {
    for (const { foreground, bulk } of this.#links.values()) yield* [foreground, bulk];
  }
}
