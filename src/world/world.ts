/**
 * The ports: the only way out of the process for everything that is not composition. Each has two implementations with
 * the same file names, world/real and world/simulated, and one contract suite that runs on both.
 *
 * Nothing below this file may learn the time, draw a random number, open a socket or touch a file in any other way, so a
 * whole cluster runs unchanged in one process under a virtual clock.
 */

import type { Pieces } from '#kernel/pieces.ts';

export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly disk: Disk;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly trace: Trace;
  readonly digest: Digest;
}

// --- Clock ---------------------------------------------------------------------------------------------------------

export interface Clock {
  /** Milliseconds since 1970 by the machine's calendar clock: may be wrong and may jump either way. */
  wall(): number;
  /** Milliseconds since an arbitrary start, with fractions; never goes back. Deadlines are instants of this clock. */
  monotonic(): number;
  /** Calls back once, not earlier than `delay` milliseconds from now. A pending timer does not keep the process alive. */
  after(delay: number, callback: () => void): Timer;
  /** Calls back after the input that has already arrived has been handled (one turn of the event loop). */
  defer(callback: () => void): void;
}

export interface Timer {
  /** The callback will not be called any more; harmless when it was. */
  cancel(): void;
}

// --- Random --------------------------------------------------------------------------------------------------------

export interface Random {
  /** A uniform integer, 0 to 2^32-1. */
  uint32(): number;
  /** Unpredictable bytes in the real world, seeded ones in the simulated. */
  bytes(length: number): Uint8Array;
}

// --- Network -------------------------------------------------------------------------------------------------------

/** `host:port` of another node's peer door. */
export type PeerAddress = string;

/** Small urgent messages travel on `foreground`; transfers and repair on `bulk`, so that they cannot delay the former. */
export type Channel = 'foreground' | 'bulk';

export interface Network {
  /** Opens this node's peer door. `accept` is called for each connection that another node opened. */
  listen(accept: (connection: Connection) => ConnectionEvents): Promise<Listener>;
  /**
   * Opens a connection. Rejects with a {@link NetworkError} that says why after `timeout` milliseconds at the latest.
   * `open` is called once, before any event, when the connection stands.
   */
  connect(
    address: PeerAddress,
    channel: Channel,
    timeout: number,
    open: (connection: Connection) => ConnectionEvents,
  ): Promise<void>;
}

export interface Listener {
  /** Where the door is, with the port that was allotted when port 0 was asked for. */
  readonly address: PeerAddress;
  /** Stops accepting and closes the connections that were accepted. */
  close(): Promise<void>;
}

/**
 * Carries whole messages while it stands, without gaps. Messages up to `LARGE_MESSAGE_BYTES` arrive in the order in which
 * they were sent, and so do larger ones; a small one may overtake larger ones. What a message contains is the business of
 * wire/.
 */
export interface Connection {
  readonly channel: Channel;
  /** The other end as a person would write it, for logs. */
  readonly remote: string;
  /**
   * Whether the certificate that the other end has proved to hold names this host, address or node; undefined where
   * connections bear no certificates.
   */
  readonly certifies?: ((name: string) => boolean) | undefined;
  /**
   * Queues a message of at most `MAX_MESSAGE_BYTES`, which must not be changed afterwards: it is not copied. Messages of one turn
   * leave together. Ignored once closed. A queue that exceeds `MAX_QUEUED_BYTES` closes the connection. After the instant `until` of
   * the monotonic clock nobody wants it any more: what has not begun to leave by then may be left out.
   */
  send(message: Uint8Array | Pieces, until?: number): void;
  /** Hands what is queued to the operating system now instead of at the end of the turn. */
  flush(): void;
  /** Bytes that were sent and that the operating system has not taken yet. */
  readonly queuedBytes: number;
  /** Messages that wait for no more than the end of this turn: one more leaves with them. */
  readonly gathered: number;
  /**
   * Closes this end. `closed` is called on this end soon after this call returns, and on the other end, where the reason
   * is told too. Small messages already queued still leave if the other end reads them; larger ones may be lost.
   */
  close(reason: string): void;
}

export interface ConnectionEvents {
  /** One whole message, as a copy that the receiver owns. */
  message(message: Uint8Array): void;
  /**
   * Whether the other end may send what is larger than `LARGE_MESSAGE_BYTES`, for which memory is set aside that all connections
   * share: a stranger may not. Always without it.
   */
  takesLarge?(): boolean;
  /** Part of a message has come, or of those that wait some have left: the other end is there, however slow the way to it is. */
  moved?(): void;
  /** Called once, for whatever reason the connection ended. No other event follows. */
  closed(reason: string): void;
}

export class NetworkError extends Error {
  override readonly name = 'NetworkError';
}

// --- Disk ----------------------------------------------------------------------------------------------------------

/**
 * `narrow` rows are up to a few hundred bytes, `wide` rows may hold values. `numbered` rows have keys of eight bytes, a number up
 * to 2^53-1 with the most significant byte first, and are mostly appended. The implementation lays them out so.
 */
export interface TableDefinition {
  readonly name: string;
  readonly rows: 'narrow' | 'wide' | 'numbered';
  /** Rows are kept in memory for {@link DiskReader.recall}. */
  readonly recalled?: boolean;
}

export type Row = readonly [key: Uint8Array, value: Uint8Array];

export interface RangeOptions {
  /** First key of the range; from the start of the table without it. */
  readonly from?: Uint8Array;
  /** First key after the range; to the end of the table without it. */
  readonly to?: Uint8Array;
  readonly limit: number;
  /** The row with which the values have so many bytes is the last one. */
  readonly bytes?: number;
  /** From the last key downwards. */
  readonly reverse?: boolean;
}

export interface DiskReader {
  /** The row's value as a copy that the caller owns, or undefined; as the medium has it, so this is what finds damage. */
  get(table: string, key: Uint8Array): Uint8Array | undefined;
  /** The same for whoever wants the value and not the medium's word for it: what was last read or written, if it is still there. */
  recall(table: string, key: Uint8Array): Uint8Array | undefined;
  /** At most `limit` rows in the order of their keys' bytes, as they stand at this moment. */
  range(table: string, options: RangeOptions): Row[];
}

/** Sees its own changes. */
export interface DiskTransaction extends DiskReader {
  put(table: string, key: Uint8Array, value: Uint8Array): void;
  delete(table: string, key: Uint8Array): void;
}

export interface Disk extends DiskReader {
  /** As {@link recall}; of a value of more than `upTo` bytes only how many it has, without reading them. */
  recallUpTo(table: string, key: Uint8Array, upTo: number): Uint8Array | number | undefined;
  /**
   * Runs `run` in one atomic transaction and commits it. When it returns, reads see the changes; `durable` resolves when
   * they are on stable storage, and rejects with a {@link DiskError} when that is unknown.
   * Throws what `run` threw, with nothing changed; throws a {@link DiskError} when the commit failed, which may be before `run` was called.
   */
  commit(run: (transaction: DiskTransaction) => void): Committed;
  /** Undefined while the disk works; otherwise why it does not. A `full` disk heals, any other failure is final. */
  failure(): DiskError | undefined;
  /** Bytes that the data take on the medium, with the room that was made for more. */
  sizeBytes(): number;
  /** Bytes that the medium still has room for, as far as it tells. */
  freeBytes(): number;
  /** Waits for what is in flight and closes. The disk is not to be used afterwards. */
  close(): Promise<void>;
}

export interface Committed {
  readonly durable: Promise<void>;
}

/**
 * - `busy`: too much waits for a disk that is too slow; nothing of the transaction was applied, and a later commit may succeed.
 * - `full`: no space; nothing of the transaction was applied, reads still work, and a later commit may succeed.
 * - `failed`: an input/output error, in particular of a sync: what was committed last may or may not be there after a
 *   restart. The node must stop serving.
 * - `corrupt`: the database's own structure is damaged. The node must stop serving.
 */
export type DiskFailureKind = 'busy' | 'full' | 'failed' | 'corrupt';

export class DiskError extends Error {
  override readonly name = 'DiskError';
  readonly kind: DiskFailureKind;
  /** True when the transaction may have been applied in spite of the error. */
  readonly uncertain: boolean;

  constructor(kind: DiskFailureKind, message: string, uncertain: boolean, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.uncertain = uncertain;
  }
}

// --- Log, metrics, digests -----------------------------------------------------------------------------------------

export type LogFields = Readonly<Record<string, unknown>>;

/** `event` is a stable short name in kebab-case, such as `peer-connected`; all that varies stands in the fields. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export type Labels = Readonly<Record<string, string>>;

export interface Metrics {
  /** A number that only grows. Asking again for the same name and labels gives the same counter. */
  counter(name: string, help: string, labels?: Labels): Counter;
  /** A number that only grows and is kept elsewhere: read when the metrics are rendered. */
  total(name: string, help: string, read: () => number, labels?: Labels): void;
  /** A number read when the metrics are rendered. */
  gauge(name: string, help: string, read: () => number, labels?: Labels): void;
  /** A distribution, with upper bounds of its buckets in rising order. */
  histogram(name: string, help: string, buckets: readonly number[], labels?: Labels): Histogram;
  /** Prometheus text exposition format. */
  render(): Promise<string>;
}

export interface Counter {
  add(amount?: number): void;
}

export interface Histogram {
  observe(value: number): void;
}

// --- Tracing -------------------------------------------------------------------------------------------------------

/** Where a span hangs, as W3C Trace Context writes it: what travels from one process to the next. */
export interface TraceParent {
  readonly traceparent: string;
  /** Of other tracing systems, handed through; empty when there is none. */
  readonly tracestate: string;
}

export type SpanKind = 'server' | 'client' | 'internal';

/** Who has no span has nothing to trace: every place that could begin a child asks with `?.`, which costs nothing. */
export interface Trace {
  /** False when no request is ever traced: then nobody needs to look for a parent. */
  readonly on: boolean;
  /**
   * Begins a span under a parent in another process, or the first of a new trace when there is no parent or one that is not
   * valid. Undefined when this trace is not sampled: the parent has decided that, or else chance.
   */
  begin(name: string, kind: SpanKind, parent: TraceParent | undefined): Span | undefined;
}

/** One step of one request, from its beginning to its end. */
export interface Span {
  readonly parent: TraceParent;
  child(name: string, kind: SpanKind): Span;
  set(attribute: string, value: string | number | boolean): void;
  /** To be called once, whatever happened; `failure` says what went wrong. */
  end(failure?: string): void;
}

/** Pure functions of the host: the same in both worlds. */
export interface Digest {
  readonly crc32: (bytes: Uint8Array) => number;
  /** Of a thousand bytes ten times as fast as a loop over them. */
  readonly equal: (a: Uint8Array, b: Uint8Array) => boolean;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly hmacSha256: (key: Uint8Array, bytes: Uint8Array) => Uint8Array;
  /** Compares in time that does not depend on where the difference is. */
  readonly equalSecrets: (a: Uint8Array, b: Uint8Array) => boolean;
}
