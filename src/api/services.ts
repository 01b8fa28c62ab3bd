/**
 * Everything that the HTTP front door needs from the rest of a node. Composition supplies it; tests supply a stub. The
 * parts of the world that are used here are named one by one: an API has no business with disks or peers.
 */

import type { Authentication, TokenDirectory } from '#access/directory.ts';
import type { Bucket } from '#buckets/definition.ts';
import type {
  KeyRequest,
  ReadOutcome,
  ReadRequest,
  Trouble,
  WriteOutcome,
  WriteRequest,
} from '#coordinator/requests.ts';
import type { AnswerTurns } from '#coordinator/answer-turns.ts';
import type { ListOutcome, ListPageRequest } from '#coordinator/list.ts';
import type { LeaseChange, LeaseOutcome } from '#coordinator/strong.ts';
import type { NodeId } from '#kernel/identity.ts';
import type { Explanation } from '#operator/explain-key.ts';
import type { KeyForce } from '#operator/key-force.ts';
import type { RingForce } from '#operator/ring-force.ts';
import type { RingPlans } from '#operator/ring-plans.ts';
import type { RingRepair } from '#operator/ring-repair.ts';
import type { Mac } from '#kernel/native.ts';
import type { WatchStart } from '#watch/watches.ts';
import type { Trace } from '#world/world.ts';
import type { LoopTime } from './adaptive-limit.ts';
import type { ProblemExtras } from './problem.ts';

export interface ApiServices {
  /** This node. */
  readonly self: NodeId;
  /** The zone that it stands in. */
  zone(): string;
  readonly settings: ApiSettings;

  read(request: ReadRequest): Promise<ReadOutcome>;
  write(request: WriteRequest): Promise<WriteOutcome>;
  /** For the operations of one batch: those that begin at once share their messages and commits. */
  batch(): Pick<ApiServices, 'read' | 'write'>;
  /** For who puts large values together, or takes them apart. */
  readonly answerTurns: Pick<AnswerTurns, 'take'>;
  /** One page of the keys of a bucket. */
  list(request: ListPageRequest): Promise<ListOutcome>;
  /** A watch of a bucket, from now on or from a place; undefined when what came since is not all remembered. */
  watch(bucket: string, prefix: Uint8Array, place: Uint8Array | undefined): Promise<WatchStart>;
  /** Gives, renews, takes back or shows the lease of a key in a strong bucket. */
  changeLease(request: KeyRequest, change: LeaseChange): Promise<LeaseOutcome>;
  showLease(request: KeyRequest): Promise<LeaseOutcome>;
  readonly buckets: BucketServices;
  readonly guard: GuardServices;
  readonly tokens: TokenServices;
  /** Keeps one line of the audit log. */
  audit(fields: Fields): void;

  /** Members of the cluster, for n' = min(n, members); at least 1. */
  members(): number;
  cluster(): ClusterView;
  ring(): RingView;
  locate(bucket: Bucket, key: Uint8Array): Location;
  /** Asks every replica itself what it has of the key. `deadline` is an instant of the monotonic clock. */
  explain(bucket: Bucket, key: Uint8Array, deadline: number): Promise<Explanation>;

  readonly plans: Pick<RingPlans, 'plan' | 'apply' | 'steer' | 'transfers'>;
  readonly force: Pick<RingForce, 'force'>;
  readonly keyForce: Pick<KeyForce, 'show' | 'force'>;
  readonly repair: Pick<RingRepair, 'begin' | 'current'>;

  /** Why no data can be served now, as the detail of a `not-ready` answer; undefined when it can. Asked for each request. */
  refusal(): string | undefined;
  /** Whether the process works at all: when not, it should be restarted. */
  live(): Health;
  /** Whether this node should get requests. */
  ready(): Health;
  /** The cluster as seen from here. */
  healthy(): ClusterHealth;

  /** Signs contexts. */
  readonly mac: Mac;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  /** What runs in a browser that shows `/ui/`. */
  readonly uiScript: () => string;
  readonly clock: ApiClock;
  readonly random: ApiRandom;
  /** How this process has spent its time so far; absent where that cannot be told. */
  readonly loop?: () => LoopTime;
  readonly log: ApiLog;
  readonly metrics: ApiMetrics;
  readonly trace: Trace;
}

export interface ApiSettings {
  /** Bytes of the largest value; more get 413. */
  readonly valueMaxBytes: number;
  /** What `timeout` is when a request does not say, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** How long requests wait for a node that starts, in milliseconds since its door was opened. */
  readonly startPatienceMs: number;
  /** Client requests under way at once; more get 429. */
  readonly requestsMax: number;
  /** What data requests of a busy node may take at its pace, in milliseconds, before it lets fewer in at once. */
  readonly overloadLatencyMs: number;
  /** Data requests that are let in at once however long they take. */
  readonly overloadRequestsMin: number;
  /** How long a connection waits unread after a refusal when too much is refused, in milliseconds; 0 for not at all. */
  readonly repeatPauseMs: number;
  /** Operations of one batch. */
  readonly batchMax: number;
  /** Bytes of a batch, and of the values in its answer. */
  readonly batchBytesMax: number;
  /** Answers that are being streamed at once, listings and watches; more get 429. */
  readonly streamsMax: number;
  /** Origins whose pages may use the API from a browser; `*` for all. */
  readonly corsOrigins: readonly string[];
  /** Lines about refused clients in the audit log within ten seconds; more are counted and told together. */
  readonly auditRefusalsMax: number;
  /** Bytes of all request bodies under way at once; more get 429. At least `valueMaxBytes`. */
  readonly bodiesMaxBytes: number;
  /**
   * Bytes of all large answers that clients are slow to take; beyond it the connection that has waited longest is cut. As many may wait
   * to be put together; beyond that reads get 429.
   */
  readonly answersMaxBytes: number;
  /** Which requests get a line in the log, beside the slow ones. */
  readonly accessLog: 'off' | 'errors' | 'all';
  /** Whether such a line has the path with the key, or only the route. */
  readonly accessLogKeys: boolean;
  /** Lines about failed and slow requests within a second. */
  readonly accessLogRate: number;
  /** A request that took as long gets a line. */
  readonly slowRequestMs: number;
}

export const DEFAULT_API_SETTINGS: ApiSettings = {
  valueMaxBytes: 4 * 1024 * 1024,
  requestTimeoutMs: 5000,
  startPatienceMs: 0,
  requestsMax: 4096,
  overloadLatencyMs: 100,
  overloadRequestsMin: 96,
  repeatPauseMs: 250,
  batchMax: 1000,
  batchBytesMax: 8 * 1024 * 1024,
  streamsMax: 1024,
  corsOrigins: [],
  auditRefusalsMax: 10,
  bodiesMaxBytes: 256 * 1024 * 1024,
  answersMaxBytes: 256 * 1024 * 1024,
  accessLog: 'errors',
  accessLogKeys: false,
  accessLogRate: 100,
  slowRequestMs: 1000,
};

// --- Buckets -------------------------------------------------------------------------------------------------------

export interface BucketServices {
  /** The definition as this node knows it; the defaults when nobody has defined the bucket. */
  resolve(name: string): Bucket;
  /** The buckets that somebody has defined, sorted by name. */
  list(): readonly Bucket[];
  /**
   * Makes `properties` the whole definition, with defaults for what it leaves out. `properties` is parsed JSON of a
   * client; whether it is a definition is judged here. `deadline` is an instant of the monotonic clock.
   */
  define(name: string, properties: unknown, deadline: number): Promise<DefineOutcome>;
  /** Drops the bucket and its data. */
  drop(name: string, deadline: number): Promise<DropOutcome>;
}

export interface BucketTrouble {
  readonly kind: 'failed';
  readonly trouble: Trouble;
  readonly detail: string;
  /** `unknown` when it may still be decided. */
  readonly applied: 'not-applied' | 'unknown';
  /** When it failed for want of nodes. */
  readonly votes?: Pick<ProblemExtras, 'needed' | 'got'>;
}

export type DefineOutcome =
  | { readonly kind: 'defined'; readonly bucket: Bucket }
  /** `field` is the property that is wrong, or `body`. */
  | { readonly kind: 'invalid'; readonly field: string; readonly detail: string }
  /** Well formed, but at odds with the bucket as it is. */
  /** `field` is the property that is fixed, when one is. */
  | { readonly kind: 'conflict'; readonly field?: string; readonly detail: string }
  | BucketTrouble;

export type DropOutcome =
  | { readonly kind: 'dropped' }
  | { readonly kind: 'conflict'; readonly detail: string }
  | BucketTrouble;

// --- Tokens --------------------------------------------------------------------------------------------------------

export interface GuardServices {
  /** Whether clients must show a token. */
  readonly required: boolean;
  /** Whether `/metrics` and `/healthz` are answered without one all the same. */
  readonly metricsOpen: boolean;
  authenticate(token: string): Authentication;
}

export type TokenServices = Pick<TokenDirectory, 'list' | 'create' | 'revoke'>;

// --- The ring and the cluster --------------------------------------------------------------------------------------

export interface ClusterView {
  readonly clusterId: string;
  readonly epoch: number;
  readonly self: string;
  readonly members: readonly MemberView[];
  readonly transfers: readonly unknown[];
  /** Hints that wait at this node, for whomever. */
  readonly hintsWaiting: number;
}

export interface MemberView {
  readonly id: string;
  /** Base URL for clients; empty until it is known. */
  readonly url: string;
  /** `host:port` of the door for other nodes. */
  readonly peer: string;
  readonly zone: string;
  readonly weight: number;
  readonly state: 'joining' | 'refilling' | 'active' | 'leaving' | 'removed';
  readonly reachable: boolean;
  /** Milliseconds that its clock is ahead of the answering node's, negative when behind; null when it is not known. */
  readonly clockDifference: number | null;
  /** Share of the ring that it owns, 0 to 1. */
  readonly share: number;
  /** Partitions that it owns. */
  readonly partitions: number;
  /** Hints that the answering node knows to wait for it. */
  readonly hintsWaiting: number;
}

/** What a client needs to go to an owner at once. */
export interface RingView {
  readonly epoch: number;
  readonly partitions: number;
  /** 32 hex digits: the key of the hash of keys. */
  readonly hashSeed: string;
  readonly members: readonly RingMember[];
  /** For each n in use the owners of every partition, in preference order. */
  readonly placements: Readonly<Record<string, readonly (readonly string[])[]>>;
}

export interface RingMember {
  readonly id: string;
  /** Where clients reach it; empty until it is known. */
  readonly url: string;
  readonly zone: string;
}

export interface Location {
  /** 16 hex digits. */
  readonly hash: string;
  readonly partition: number;
  readonly primaries: readonly string[];
  readonly fallbacks: readonly string[];
}

// --- Health --------------------------------------------------------------------------------------------------------

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** Works still, but somebody should look. */
  readonly warning?: boolean;
  readonly detail: string;
}

export interface Health {
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

export interface ClusterHealth extends Health {
  /** Share of the ring whose partitions have a quorum of reachable owners, 0 to 1. */
  readonly share: number;
}

// --- What is used of the world -------------------------------------------------------------------------------------

export interface ApiClock {
  /** Milliseconds since 1970 by the machine's calendar clock. */
  wall(): number;
  /** Milliseconds since an arbitrary start, with fractions; never goes back. */
  monotonic(): number;
  after(delay: number, callback: () => void): { cancel(): void };
}

export interface ApiRandom {
  bytes(length: number): Uint8Array;
}

export type Fields = Readonly<Record<string, unknown>>;

export interface ApiLog {
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
}

type Labels = Readonly<Record<string, string>>;

export interface ApiMetrics {
  counter(name: string, help: string, labels?: Labels): { add(amount?: number): void };
  gauge(name: string, help: string, read: () => number, labels?: Labels): void;
  histogram(name: string, help: string, buckets: readonly number[], labels?: Labels): { observe(value: number): void };
  /** Prometheus text exposition format. */
  render(): Promise<string>;
}
