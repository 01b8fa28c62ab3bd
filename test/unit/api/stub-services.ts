/**
 * A node as the API sees it, without a node: a store in memory in which each write gets the next dot.
 */

import { createHmac } from 'node:crypto';
import { TokenDirectory } from '#access/directory.ts';
import { DEFAULT_API_SETTINGS, type ApiServices, type ApiSettings, type Fields } from '#api/services.ts';
import { DEFAULT_PROPERTIES, type Bucket, type BucketProperties } from '#buckets/definition.ts';
import { joinStates } from '#causality/join.ts';
import { EMPTY_STATE, type State } from '#causality/state.ts';
import { covers, joinVectors } from '#causality/vector.ts';
import type { KeyForceView } from '#operator/key-force.ts';
import type { Agreement, ReadOutcome, ReadRequest, WriteOutcome, WriteRequest } from '#coordinator/requests.ts';
import { present } from '#kernel/assert.ts';
import { fromHex, toHex } from '#kernel/bytes.ts';
import { decide } from '#coordinator/before-write.ts';
import type { RetryRow } from '#replica/retry-codec.ts';
import type { Dot } from '#causality/dot.ts';
import { epoch, nodeId, nodeIndex, type NodeId } from '#kernel/identity.ts';
import { digest } from '#world/digest.ts';
import { NO_TRACE } from '#world/no-trace.ts';
import { realClock } from '#world/real/clock.ts';
import { createMetrics } from '#world/real/metrics.ts';
import { realRandom } from '#world/real/random.ts';
import { Latest } from '#watch/latest.ts';
import { decodePlaces } from '#watch/places.ts';
import { Watcher } from '#watch/watcher.ts';
import type { WatchStart } from '#watch/watches.ts';
import { uiScript } from '../../../src/ui-script.ts';
import { OneNodeChain } from '../access/one-node-chain.ts';

/** 2025-06-15T15:06:40Z as a hybrid time, so that dates are the same in every run. */
/** What is to be sent to force a key. */
export const KEY_FORCE_ID = '0123456789abcdef';

function keyForceView(bucket: string, applied: boolean): KeyForceView {
  return {
    ...{ applied, bucket, partition: 1, id: KEY_FORCE_ID, refusal: '', keeps: null },
    owners: [{ node: 'n1', register: 'damaged', reason: '', version: null }],
    mayLose: ['acknowledged changes'],
  };
}

const FIRST_COUNTER = (1_750_000_000_000 - 1_735_689_600_000) * 4096;

export const BOOTSTRAP_TOKEN = 'a-token-of-32-characters-or-more.';

export class StubNode {
  readonly states = new Map<string, State>();
  readonly retries = new Map<string, readonly RetryRow[]>();
  retriesFull = false;
  readonly properties = new Map<string, Partial<BucketProperties>>();
  readonly reads: ReadRequest[] = [];
  /** Whatever was asked for, also when its conditions did not hold. */
  readonly writes: WriteRequest[] = [];
  /** Of them, those that made a version. */
  minted = 0;
  readonly logged: { readonly event: string; readonly fields: unknown }[] = [];
  members = 3;
  refusal: string | undefined;
  healthy = true;
  settings: ApiSettings = DEFAULT_API_SETTINGS;
  clock: ApiServices['clock'] = realClock();
  /** Tokens of a cluster of one; asked for when {@link guarded}. */
  readonly chain = new OneNodeChain();
  readonly tokens = new TokenDirectory({
    chain: this.chain,
    digest,
    random: realRandom(),
    wall: () => this.now,
    bootstrap: BOOTSTRAP_TOKEN,
  });
  guarded = false;
  metricsOpen = false;
  now = 1_750_000_000_000;
  readonly audited: Fields[] = [];
  /** Watches see nothing of the store: they are filled by tests. */
  readonly watchers: Watcher[] = [];
  watchGone = false;
  /** A member that keeps no log of changes. */
  logless: NodeId | undefined;
  answerTurns: ApiServices['answerTurns'] = { take: () => true };
  /** Instead of the store's answer. */
  read: ((request: ReadRequest) => Promise<ReadOutcome>) | undefined;
  write: ((request: WriteRequest) => Promise<WriteOutcome>) | undefined;
  #counter = FIRST_COUNTER;

  services(): ApiServices {
    const log = (event: string, fields?: unknown): void => void this.logged.push({ event, fields });
    return {
      self: nodeId('n1'),
      zone: () => 'z1',
      settings: this.settings,
      read: (request) => this.#read(request),
      write: (request) => this.#write(request),
      watch: async (_bucket, prefix, place) => this.watch(prefix, place),
      answerTurns: this.answerTurns,
      batch: () => ({ read: (request) => this.#read(request), write: (request) => this.#write(request) }),
      list: async ({ bucket, prefix, after, limit }) => {
        const begin = `${bucket.name}/`;
        const keys = [...this.states]
          .filter(([name, { versions }]) => name.startsWith(begin + toHex(prefix)) && versions.length > 0)
          .map(([name]) => name.slice(begin.length))
          .filter((key) => key > toHex(after))
          .toSorted();
        const page = keys.slice(0, limit).map((key) => present(fromHex(key), key));
        return { kind: 'page', keys: page, next: keys.length > limit ? present(page.at(-1), 'a key') : null };
      },
      changeLease: async () => ({ kind: 'lease', lease: null, agreement: agreed(2) }),
      showLease: async () => ({ kind: 'lease', lease: null, agreement: agreed(2) }),
      buckets: {
        resolve: (name) => this.#bucket(name),
        list: () => [...this.properties.keys()].toSorted().map((name) => this.#bucket(name)),
        define: async (name, properties) => {
          if (typeof properties !== 'object' || properties === null || Array.isArray(properties)) {
            return { kind: 'invalid', field: 'body', detail: 'must be an object' };
          }
          const unknown = Object.keys(properties).find((property) => !(property in DEFAULT_PROPERTIES));
          if (unknown !== undefined) return { kind: 'invalid', field: unknown, detail: 'unknown property' };
          if (name === 'fixed') return { kind: 'conflict', detail: 'n is fixed once the bucket holds keys' };
          this.properties.set(name, properties);
          return { kind: 'defined', bucket: this.#bucket(name) };
        },
        drop: async (name) => {
          if (name === 'fixed') return { kind: 'conflict', detail: 'too many names' };
          this.properties.delete(name);
          return { kind: 'dropped' };
        },
      },
      guard: {
        required: this.guarded,
        metricsOpen: this.metricsOpen,
        authenticate: (token) => this.tokens.authenticate(token),
      },
      tokens: this.tokens,
      force: {
        force: async (lost, accept) => ({
          kind: 'forced',
          view: {
            ...{
              applied: accept,
              epoch: 1_000_008,
              lost,
              survivors: ['n1'],
              tables: [],
              mayLose: ['the latest epochs'],
            },
            voters: { before: ['n1', ...lost], after: ['n1'] },
          },
        }),
      },
      keyForce: {
        show: async (bucket) => keyForceView(bucket.name, false),
        force: async (bucket, _key, id) =>
          id === KEY_FORCE_ID
            ? { kind: 'shown', view: keyForceView(bucket.name, true) }
            : { kind: 'refused', detail: 'look again' },
      },
      plans: {
        plan: async () => ({ kind: 'refused', detail: 'a stub plans nothing' }),
        apply: async () => ({ kind: 'unknown' }),
        steer: async () => ({ kind: 'refused', detail: 'no change is under way' }),
        transfers: async () => ({
          ...{ state: 'idle', id: null, epoch: 1, moves: 0, done: 0, keys: 0, bytes: 0, throttle: null },
          ...{ bytesPerSecond: null, secondsLeft: null, waiting: [], last: null, transfers: [] },
        }),
      },
      repair: { begin: () => undefined, current: () => undefined },
      audit: (fields) => void this.audited.push(fields),
      members: () => this.members,
      cluster: () => ({ clusterId: 'c', epoch: 7, self: 'n1', members: [], transfers: [], hintsWaiting: 0 }),
      ring: () => ({
        epoch: 7,
        partitions: 2,
        hashSeed: '000102030405060708090a0b0c0d0e0f',
        members: ['n1', 'n2', 'n3'].map((id) => ({ id, url: `http://${id}`, zone: 'default' })),
        placements: {
          '3': [
            ['n1', 'n2', 'n3'],
            ['n2', 'n3', 'n1'],
          ],
        },
      }),
      locate: (_bucket, key) => ({ hash: toHex(key), partition: 1, primaries: ['n1'], fallbacks: [] }),
      explain: async (bucket, key) => ({
        bucket: bucket.name,
        partition: key.length,
        replicas: [],
        hints: [],
        agree: true,
        differences: [],
      }),
      refusal: () => this.refusal,
      live: () => ({ ok: true, checks: [] }),
      ready: () => ({
        ok: this.healthy,
        checks: [
          { name: 'disk', ok: true, detail: 'writable' },
          { name: 'epoch', ok: this.healthy, detail: 'epoch 7' },
        ],
      }),
      healthy: () => ({ ok: this.healthy, share: this.healthy ? 1 : 0.5, checks: [] }),
      mac: (bytes) => new Uint8Array(createHmac('sha256', 'secret').update(bytes).digest()),
      sha256: digest.sha256,
      uiScript,
      clock: this.clock,
      random: realRandom(),
      log: { info: log, warn: log, error: log },
      metrics: createMetrics(),
      trace: NO_TRACE,
    };
  }

  watch(prefix: Uint8Array, place: Uint8Array | undefined): WatchStart {
    if (this.logless !== undefined) return { kind: 'no-log', node: this.logless };
    if (this.watchGone) return { kind: 'gone' };
    const cursor = place === undefined ? undefined : present(decodePlaces(place), 'a cursor');
    const watcher = new Watcher({
      clock: realClock(),
      prefix,
      incarnation: 0,
      since: cursor?.since ?? this.now,
      places: new Map(cursor?.places),
      heartbeat: 15_000,
      eventsMax: 10,
      latest: new Latest(1),
      closed: (one) => void this.watchers.splice(this.watchers.indexOf(one), 1),
    });
    this.watchers.push(watcher);
    return { kind: 'begun', watcher };
  }

  #bucket(name: string): Bucket {
    const given = this.properties.get(name);
    const properties = { ...DEFAULT_PROPERTIES, ...given };
    return { name, incarnation: 0, version: epoch(given === undefined ? 0 : 1), properties };
  }

  async #read(request: ReadRequest): Promise<ReadOutcome> {
    this.reads.push(request);
    if (this.read !== undefined) return this.read(request);
    const { vector, versions } = this.states.get(nameOf(request)) ?? EMPTY_STATE;
    const live = versions.filter(({ content }) => content !== null);
    return { kind: 'found', agreement: agreed(request.r), coordinator: nodeId('n1'), versions: live, context: vector };
  }

  async #write(request: WriteRequest): Promise<WriteOutcome> {
    this.writes.push(request);
    if (this.write !== undefined) return this.write(request);
    const state = this.states.get(nameOf(request)) ?? EMPTY_STATE;
    const retries = request.mark === null ? [] : (this.retries.get(nameOf(request)) ?? []);
    const known = retries.filter(({ id }) => toHex(id) === toHex(request.mark!.id));
    const agreement = agreed(request.w);
    const gathered = { kind: 'gathered' as const, state, agreement, retries: known, retriesFull: this.retriesFull };
    const before = decide(request, gathered, { now: 0, self: nodeId('n1'), origin: 0, looks: true });
    if (before.kind === 'over') return before.outcome;
    if (before.kind === 'again') return this.#applied(request, before.state, before.first.dot);
    const dot = { node: nodeIndex(0), tenure: FIRST_COUNTER, counter: (this.#counter += 4096) };
    const written = request.content === null ? [] : [{ dot, content: request.content, expiresAt: 0 }];
    const kept = state.versions.filter((version) => !covers(before.context, version.dot));
    const vector = joinVectors(joinVectors(state.vector, before.context), [dot]);
    const { conflicts } = request.bucket.properties;
    const after = joinStates({ vector, versions: [...kept, ...written] }, EMPTY_STATE, conflicts);
    this.states.set(nameOf(request), after);
    this.minted += 1;
    if (request.mark !== null)
      this.retries.set(nameOf(request), [...retries, { ...request.mark, dot, until: Number.MAX_SAFE_INTEGER }]);
    return this.#applied(request, after, dot);
  }

  #applied({ w }: WriteRequest, { versions, vector }: State, written: Dot): WriteOutcome {
    return { kind: 'applied', agreement: agreed(w), coordinator: nodeId('n2'), versions, context: vector, written };
  }
}

function nameOf({ bucket, key }: { readonly bucket: Bucket; readonly key: Uint8Array }): string {
  return `${bucket.name}/${toHex(key)}`;
}

export function agreed(needed: number): Agreement {
  return { acked: needed, needed, of: 3, fallbacks: 0 };
}
