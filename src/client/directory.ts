/**
 * What a client knows of the cluster: the ring, for finding the owners of a key, and the definitions of buckets. Both change
 * with the epoch and are looked at again now and then, and soon when an answer came from another node than the one that was
 * taken for an owner. No request waits for the ring: until it is known, any node is asked.
 */

import { fromUtf8 } from '#kernel/bytes.ts';
import { jsonBody } from './json-body.ts';
import { ownersOf, parseRing, type RingView } from './ring-map.ts';
import type { Transport } from './transport.ts';

/** A bucket's properties, all of them. */
export interface Definition {
  readonly n: number;
  readonly r: number | string;
  readonly w: number | string;
  readonly dw: number | string;
  readonly pr: number | string;
  readonly pw: number | string;
  readonly sloppy: boolean;
  readonly conflicts: 'siblings' | 'lww';
  readonly consistency: 'eventual' | 'strong';
  readonly type: 'value' | 'counter' | 'set' | 'map' | 'register' | 'flag';
  readonly ttl: number | null;
}

/** Milliseconds between two looks at the ring, and when there is a reason to doubt it. */
const LOOK_MS = 30_000;
const LOOK_IN_DOUBT_MS = 1000;
/** Definitions that are remembered; beyond it they are asked for anew. */
const DEFINITIONS_MAX = 256;
/** What a bucket has that nobody has defined. */
const USUAL_N = 3;

export class Directory {
  readonly #transport: Transport;
  readonly #routes: boolean;
  #ring: RingView | undefined;
  #etag: string | undefined;
  /** An instant. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  readonly #definitions = new Map<string, Promise<Definition>>();
  /** Those definitions that are there. */
  readonly #known = new Map<string, Definition>();
  /** Since when they have been remembered; an instant. */
  #since = Number.NEGATIVE_INFINITY;

  constructor(transport: Transport, routes: boolean) {
    this.#transport = transport;
    this.#routes = routes;
  }

  get epoch(): number | undefined {
    return this.#ring?.epoch;
  }

  /** The nodes to ask first for a key; none while the ring is not known. */
  owners(bucket: string, key: string): readonly string[] {
    if (!this.#routes) return [];
    this.keepCurrent();
    if (this.#ring === undefined) return [];
    const n = this.#known.get(bucket)?.n;
    if (n === undefined) this.#definitionInBackground(bucket);
    return ownersOf(this.#ring, n ?? USUAL_N, bucket, key);
  }

  /** For requests that any node answers: they have to know the other nodes in case this one dies. */
  keepCurrent(): void {
    if (this.#routes) this.#lookAgainAfter(LOOK_MS);
  }

  /** A node answered for a key of these owners. When it is none of them the ring may be another by now. */
  answered(owners: readonly string[], coordinator: string | undefined): void {
    if (owners.length === 0 || coordinator === undefined || owners.includes(coordinator)) return;
    this.#lookAgainAfter(LOOK_IN_DOUBT_MS);
  }

  /** The ring as it is now; throws when no node shows it. */
  async look(): Promise<void> {
    this.#lookedAt = this.#transport.runtime.now();
    this.#looking ??= this.#fetchRing().finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  async definition(bucket: string): Promise<Definition> {
    // Who does not look at the ring learns of no new epoch.
    if (!this.#routes && this.#transport.runtime.now() - this.#since >= LOOK_MS) this.forget();
    const known = this.#definitions.get(bucket);
    if (known !== undefined) return known;
    if (this.#definitions.size >= DEFINITIONS_MAX) this.forget();
    const asked = this.#fetchDefinition(bucket);
    this.#definitions.set(bucket, asked);
    // What could not be found out is asked for again.
    asked.catch(() => this.#definitions.delete(bucket));
    return asked;
  }

  /** Undefined as long as it would have to be asked for. */
  knownDefinition(bucket: string): Definition | undefined {
    return this.#known.get(bucket);
  }

  /** After a change of a definition by this very client, or with a new epoch. */
  forget(): void {
    this.#definitions.clear();
    this.#known.clear();
    this.#since = this.#transport.runtime.now();
  }

  #lookAgainAfter(milliseconds: number): void {
    if (this.#looking !== undefined || this.#transport.runtime.now() - this.#lookedAt < milliseconds) return;
    // Not knowing it costs a detour; the requests themselves tell what is wrong.
    this.look().catch(() => undefined);
  }

  #definitionInBackground(bucket: string): void {
    this.definition(bucket).catch(() => undefined);
  }

  async #fetchRing(): Promise<void> {
    const { status, headers, body } = await this.#transport.send({
      method: 'GET',
      path: '/v1/ring',
      headers: this.#etag === undefined ? {} : { 'if-none-match': this.#etag },
      expected: [200, 304],
      changes: false,
      repeatable: true,
    });
    if (status === 304) return;
    const ring = parseRing(fromUtf8(body));
    // Nodes learn of an epoch one after the other.
    if (this.#ring !== undefined && ring.epoch < this.#ring.epoch) return;
    if (ring.epoch !== this.#ring?.epoch) this.forget();
    this.#ring = ring;
    this.#etag = headers.get('etag') ?? undefined;
    this.#transport.nodes.learn(ring.members);
  }

  async #fetchDefinition(bucket: string): Promise<Definition> {
    const { body } = await this.#transport.send({
      method: 'GET',
      path: `/v1/buckets/${encodeURIComponent(bucket)}`,
      expected: [200],
      changes: false,
      repeatable: true,
    });
    const definition = jsonBody<Definition>(body);
    this.#known.set(bucket, definition);
    return definition;
  }
}
