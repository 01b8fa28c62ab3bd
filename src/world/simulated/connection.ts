/**
 * One end of a simulated connection. What it sends is delivered at the other end later: small messages in order, large
 * ones in order, a small one possibly before a large one that was sent earlier, as on the wire. The two ends share the
 * simulation's memory, so each copies what it sends.
 */

import { assert, present } from '#kernel/assert.ts';
import { copied, Pieces } from '#kernel/pieces.ts';
import { LARGE_MESSAGE_BYTES, MAX_MESSAGE_BYTES, MAX_QUEUED_BYTES } from '#world/limits.ts';
import { digest } from '#world/digest.ts';
import type { Channel, Connection, ConnectionEvents } from '#world/world.ts';
import type { SimulatedHost, SimulatedProcess } from './host.ts';
import { linkName } from './links.ts';
import type { SimulatedNetwork } from './network.ts';

/** What the operating systems of both ends take before a sender notices that nobody reads. */
const SOCKET_BUFFER_BYTES = 256 * 1024;
/** A large message can only arrive after the connection was opened. */
const BEHIND_OPEN_MS = 0.001;
const RESET = 'connection lost: reset';

type Parcel =
  /** The answer to the request to connect. */
  | { readonly kind: 'open' }
  | { readonly kind: 'message'; readonly message: Uint8Array; readonly given: Uint8Array | Pieces }
  /** The sender's end is closed. */
  | { readonly kind: 'end'; readonly reason: string };

/** Parcels of one size class on their way: whichever arrival comes up first brings the one that was sent first. */
interface Lane {
  readonly underWay: Parcel[];
  lastArrival: number;
}

export class SimulatedConnection implements Connection {
  readonly channel: Channel;
  readonly remote: string;
  readonly #network: SimulatedNetwork;
  readonly #process: SimulatedProcess;
  readonly #opened: (() => void) | undefined;
  readonly #small: Lane = { underWay: [], lastArrival: 0 };
  readonly #large: Lane = { underWay: [], lastArrival: 0 };
  readonly #forgetProcess: () => void;
  #peer: SimulatedConnection | undefined;
  #link = '';
  #labels = { open: '', message: '', end: '' };
  #events: ConnectionEvents | undefined;
  #closed = false;
  #lossy = false;
  /** Messages sent in the event with this number. */
  #sentInTurn = 0;
  #turn = -1;
  /** Sent and not yet read by the other end; what was lost stays in it, since nobody ever confirmed it. */
  #unconfirmedBytes = 0;

  /** `opened` is called on the dialer's end when the answer has come. */
  constructor(
    network: SimulatedNetwork,
    process: SimulatedProcess,
    channel: Channel,
    remote: string,
    opened?: () => void,
  ) {
    this.#network = network;
    this.#process = process;
    this.channel = channel;
    this.remote = remote;
    this.#opened = opened;
    this.#forgetProcess = process.onEnd(() => this.#processEnded());
  }

  get host(): SimulatedHost {
    return this.#process.host;
  }

  get peer(): SimulatedConnection {
    return present(this.#peer, 'the other end');
  }

  /** True when something sent from this end was lost on a blocked way: nothing more gets through, as on a stream. */
  get lossy(): boolean {
    return this.#lossy;
  }

  get queuedBytes(): number {
    return this.#closed ? 0 : Math.max(0, this.#unconfirmedBytes - SOCKET_BUFFER_BYTES);
  }

  /** A turn is an event here. */
  get gathered(): number {
    return this.#network.simulation.events === this.#turn ? this.#sentInTurn : 0;
  }

  pair(peer: SimulatedConnection): void {
    this.#peer = peer;
    this.#link = `${linkName(this.host, peer.host)} ${this.channel}`;
    this.#labels = { open: `open ${this.#link}`, message: `message ${this.#link}`, end: `end ${this.#link}` };
    this.#network.opened(this);
  }

  /** Delivers events from now on. */
  start(events: ConnectionEvents): void {
    this.#events = events;
  }

  /** Answers the request to connect: on the accepting end, before anything is sent. */
  answer(): void {
    this.#carry(this.#small, { kind: 'open' }, 0);
    this.#large.lastArrival = this.#small.lastArrival + BEHIND_OPEN_MS;
  }

  send(message: Uint8Array | Pieces): void {
    assert(message.length <= MAX_MESSAGE_BYTES, `message of ${message.length} bytes, allowed are ${MAX_MESSAGE_BYTES}`);
    if (this.#closed || !this.#process.alive) return;
    this.#network.count(this.#link, message.length);
    this.#sentInTurn = this.gathered + 1;
    this.#turn = this.#network.simulation.events;
    this.#sendThroughFaults(copied(message), message);
    if (this.queuedBytes > MAX_QUEUED_BYTES) {
      this.close(`the other end does not read: more than ${MAX_QUEUED_BYTES} bytes are waiting for it`);
    }
  }

  /** Everything leaves in the turn in which it is sent. */
  flush(): void {}

  close(reason: string): void {
    if (this.#closed || !this.#process.alive) return;
    this.#carry(this.#small, { kind: 'end', reason: `closed by the other end: ${reason}` }, 0);
    this.#lose(reason);
  }

  /** Breaks the connection; both ends are told. */
  reset(): void {
    for (const end of [this, this.peer]) end.host.deliver(() => end.#lose(RESET));
  }

  #sendThroughFaults(message: Uint8Array, given: Uint8Array | Pieces): void {
    const network = this.#network;
    const fault = network.fault(this.host, this.peer.host);
    if (network.random.chance(fault.drop ?? 0) || fault.loses?.(message) === true) return;
    if (network.random.chance(fault.reset ?? 0)) {
      const delay = network.latency(this.host, this.peer.host, 0);
      network.simulation.schedule(delay, `reset ${this.#link}`, () => this.reset());
      this.#lossy = true;
      return;
    }
    if (network.random.chance(fault.reorder ?? 0)) {
      this.#deliverLater(message, network.duplicateLatency(), 'overtaken');
      return;
    }
    this.#unconfirmedBytes += message.length;
    const lane = message.length > LARGE_MESSAGE_BYTES ? this.#large : this.#small;
    this.#carry(lane, { kind: 'message', message, given }, digest.crc32(message));
    if (network.random.chance(fault.duplicate ?? 0))
      this.#deliverLater(message, network.duplicateLatency(), 'repeated');
    if (network.random.chance(fault.replay ?? 0)) this.#deliverLater(message, network.replayLatency(), 'replayed');
  }

  #carry(lane: Lane, parcel: Parcel, detail: number): void {
    const network = this.#network;
    if (this.#lossy || network.blocked(this.host, this.peer.host)) {
      this.#lossy = true;
      return;
    }
    const { now } = network.simulation;
    const bytes = parcel.kind === 'message' ? parcel.message.length : 0;
    lane.lastArrival = Math.max(lane.lastArrival, now + network.latency(this.host, this.peer.host, bytes));
    lane.underWay.push(parcel);
    const arrive = () => this.#arrive(lane.underWay.shift()!);
    network.simulation.schedule(lane.lastArrival - now, this.#labels[parcel.kind], arrive, detail);
  }

  /** Out of order, behind whatever was sent meanwhile. */
  #deliverLater(message: Uint8Array, later: number, what: string): void {
    const network = this.#network;
    const delay = network.latency(this.host, this.peer.host, message.length) + later;
    const arrive = () => {
      if (!this.#lossy && !this.peer.#closed) this.peer.host.deliver(() => this.peer.#events?.message(message.slice()));
    };
    network.simulation.schedule(delay, `${what} ${this.#link}`, arrive, digest.crc32(message));
  }

  #arrive(parcel: Parcel): void {
    if (this.#lossy || this.#network.blocked(this.host, this.peer.host)) {
      this.#lossy = true;
      return;
    }
    if (!this.peer.#closed) this.peer.host.deliver(() => this.peer.#receive(parcel));
    else if (parcel.kind !== 'end') this.peer.#answerWithReset();
  }

  #receive(parcel: Parcel): void {
    if (this.#closed) return;
    switch (parcel.kind) {
      case 'open':
        this.#opened?.();
        return;
      case 'message':
        this.peer.#unconfirmedBytes -= parcel.message.length;
        assert(isUnchanged(parcel), 'what was given to be sent was changed before it had left');
        this.#events?.message(parcel.message);
        return;
      case 'end':
        this.#lose(parcel.reason);
    }
  }

  /** The operating system's answer to what arrives for a connection that is gone. */
  #answerWithReset(): void {
    const network = this.#network;
    if (network.blocked(this.host, this.peer.host)) return;
    const delay = network.latency(this.host, this.peer.host, 0);
    const arrive = () => this.peer.host.deliver(() => this.peer.#lose(RESET));
    network.simulation.schedule(delay, `reset ${this.#link}`, arrive);
  }

  #lose(reason: string): void {
    if (this.#closed) return;
    this.#end();
    if (this.#process.alive) queueMicrotask(() => this.#events?.closed(reason));
  }

  #processEnded(): void {
    this.#carry(this.#small, { kind: 'end', reason: RESET }, 0);
    this.#end();
  }

  #end(): void {
    this.#closed = true;
    this.#forgetProcess();
    this.#network.ended(this);
  }
}

/** A socket would have sent what the pieces hold by now. */
function isUnchanged({ message, given }: Extract<Parcel, { kind: 'message' }>): boolean {
  return !(given instanceof Pieces) || digest.crc32(copied(given)) === digest.crc32(message);
}
