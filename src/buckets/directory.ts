/**
 * The buckets as this node knows them, and the way to define and drop them for the whole cluster.
 *
 * Definitions are rows of the epoch chain. A change is answered only when every member that can be reached has installed
 * it; the others learn it before they serve, because the replicas refuse requests that rely on an older definition.
 */

import { assert } from '#kernel/assert.ts';
import type { Epoch } from '#kernel/identity.ts';
import { epoch } from '#kernel/identity.ts';
import type { EpochChain } from '#consensus/epoch-chain.ts';
import type { ProposalFailure } from '#consensus/epoch-proposer.ts';
import type { BucketRow, Facts } from '#consensus/facts.ts';
import { whoIsLate } from '#consensus/who-is-late.ts';
import { DEFAULT_PROPERTIES } from './definition.ts';
import type { Bucket, BucketProperties } from './definition.ts';
import { changedFixedProperty, defineBucket, dropBucket, freezeBucket, MOVED, thawBucket } from './change.ts';
import type { FixedProperty } from './change.ts';
import { Thaw, type ThawOptions } from './thaw.ts';
import { fillDefaults, isBucketName, propertiesFromRow } from './schema.ts';

/** Undefined buckets whose default definition is remembered; above that all of them are forgotten. */
const UNDEFINED_REMEMBERED_MAX = 1024;
/** How often a definition starts again because another one came between. */
const ATTEMPTS_MAX = 5;

export type BucketChange =
  /** The definition as it is now; of a dropped bucket, the defaults of its next life. */
  | { readonly kind: 'applied'; readonly bucket: Bucket }
  /** `conflict`: a fixed property, would change. `too-many-buckets`: a bound would be exceeded. */
  | { readonly kind: 'refused'; readonly reason: 'conflict'; readonly property: string; readonly detail: string }
  | { readonly kind: 'refused'; readonly reason: 'too-many-buckets'; readonly detail: string }
  | BucketFailure;

/** Without votes when it failed for want of nothing: others have changed the same bucket all the time. */
export type BucketFailure = Omit<ProposalFailure, 'votes'> & Partial<Pick<ProposalFailure, 'votes'>>;

/** Whether a bucket holds keys, or why nobody can tell: too few of the nodes that may hold some have answered. */
export type KeysHeld = boolean | Pick<ProposalFailure, 'detail' | 'votes'>;

/** What the directory uses of the chain. */
export type Chain = Pick<EpochChain, 'facts' | 'propose' | 'awaitInstalled' | 'reaches'>;

export class BucketDirectory {
  readonly #chain: Chain;
  #facts: Facts | undefined;
  #rows: ReadonlyMap<string, BucketRow> = new Map();
  /** Buckets with a row, by name, as far as somebody has asked for them. */
  readonly #defined = new Map<string, Bucket>();
  readonly #undefined = new Map<string, Bucket>();
  #thawing: Thaw | undefined;

  constructor(chain: Chain) {
    this.#chain = chain;
  }

  /** From now on this node ends freezes that others have left behind. */
  start(world: ThawOptions['world']): void {
    this.#thawing = new Thaw({ world, chain: this.#chain });
    this.#thawing.start();
  }

  stop(): void {
    this.#thawing?.stop();
  }

  /** The definition that holds for the bucket now; the defaults when nobody has defined it. The name must be valid. */
  resolve(name: string): Bucket {
    this.#refresh();
    return this.#defined.get(name) ?? this.#undefined.get(name) ?? this.#remember(name);
  }

  /** All buckets that somebody has defined and nobody dropped, by name. */
  list(): readonly Bucket[] {
    this.#refresh();
    const rows = [...this.#rows.values()].filter(({ dropped }) => !dropped);
    return rows.map(({ name }) => this.resolve(name));
  }

  /** Whether somebody has defined the bucket and nobody dropped it since. */
  isDefined(name: string): boolean {
    this.#refresh();
    const row = this.#rows.get(name);
    return row !== undefined && !row.dropped;
  }

  /**
   * Makes this the bucket's whole definition: what is not given has its default. A change of a fixed property is refused
   * when the bucket holds keys, which `holdsKeys` tells if it can; it may reject. It is asked before, and again when
   * every member that can be reached refuses requests for the bucket: so no key is written by either definition that the
   * other would hide.
   */
  async define(
    name: string,
    properties: Partial<BucketProperties>,
    holdsKeys: () => Promise<KeysHeld>,
    deadline: number,
  ): Promise<BucketChange> {
    assert(isBucketName(name), `bucket name ${name} is not valid`);
    const wanted = fillDefaults(properties);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const before = this.resolve(name);
      const fixed = changedFixedProperty(before.properties, wanted);
      const checked =
        fixed === undefined ? before.version : await this.#freeze(before, wanted, fixed, holdsKeys, deadline);
      if (checked === 'moved') continue;
      if (typeof checked !== 'number') return checked;
      const result = await this.#chain.propose((facts) => defineBucket(facts, name, wanted, checked), deadline);
      if (result.kind === 'decided') return await this.#installed(result.facts.epoch, name, deadline);
      if (result.kind === 'refused' && result.reason === MOVED) continue;
      const answer = result.kind === 'refused' ? tooMany(result.reason) : result;
      return fixed === undefined ? answer : await this.#thaw(name, checked, answer, deadline);
    }
    return failed('not-applied', `other definitions of bucket ${name} came between ${ATTEMPTS_MAX} times`);
  }

  /** The version of the frozen bucket, which holds no keys; or why the property is kept. */
  async #freeze(
    { name, version, properties }: Bucket,
    wanted: BucketProperties,
    fixed: FixedProperty,
    holdsKeys: () => Promise<KeysHeld>,
    deadline: number,
  ): Promise<Epoch | 'moved' | BucketChange> {
    const why = `${fixed} is fixed while bucket ${name} holds keys: it is ${properties[fixed]}, and ${wanted[fixed]} in this definition, where what is left out has its default; deleted keys count until they are cleared away, or the bucket is dropped`;
    const kept = await whyKept(name, fixed, why, holdsKeys);
    if (kept !== undefined) return kept;
    const result = await this.#chain.propose((facts) => freezeBucket(facts, name, version), deadline);
    if (result.kind === 'refused') return result.reason === MOVED ? 'moved' : tooMany(result.reason);
    if (result.kind === 'failed') return result;
    const frozenIn = result.facts.epoch;
    const installed = await this.#installed(frozenIn, name, deadline);
    const keptNow = installed.kind === 'applied' ? await whyKept(name, fixed, why, holdsKeys) : installed;
    return keptNow === undefined ? frozenIn : await this.#thaw(name, frozenIn, keptNow, deadline);
  }

  /** Serves the bucket again as it was, and gives the answer. */
  async #thaw(name: string, frozenIn: Epoch, answer: BucketChange, deadline: number): Promise<BucketChange> {
    const result = await this.#chain.propose((facts) => thawBucket(facts, name, frozenIn), deadline);
    if (result.kind === 'decided') {
      await this.#chain.awaitInstalled(result.facts.epoch, deadline);
      return answer;
    }
    const detail = `bucket ${name} may refuse requests for its keys for two minutes, or until it is defined again or dropped`;
    return { ...(result.kind === 'failed' && result), ...failed('unknown', detail) };
  }

  /** Takes the definition and all data: whatever was stored is of an earlier life from now on. */
  async drop(name: string, deadline: number): Promise<BucketChange> {
    assert(isBucketName(name), `bucket name ${name} is not valid`);
    const result = await this.#chain.propose((facts) => dropBucket(facts, name), deadline);
    if (result.kind === 'refused') return tooMany(result.reason);
    return result.kind === 'decided' ? await this.#installed(result.facts.epoch, name, deadline) : result;
  }

  async #installed(decided: Epoch, name: string, deadline: number): Promise<BucketChange> {
    const late = await whoIsLate(this.#chain, decided, deadline);
    return late ?? { kind: 'applied', bucket: this.resolve(name) };
  }

  #refresh(): void {
    const facts = this.#chain.facts();
    if (facts === this.#facts) return;
    this.#facts = facts;
    this.#rows = new Map(facts?.buckets.map((row) => [row.name, row]));
    this.#defined.clear();
    this.#undefined.clear();
  }

  #remember(name: string): Bucket {
    const row = this.#rows.get(name);
    if (row !== undefined) {
      const { incarnation, version } = row;
      const frozen = row.frozen === true ? { frozen: true as const } : {};
      const bucket = { name, incarnation, version, properties: propertiesFromRow(row), ...frozen };
      this.#defined.set(name, bucket);
      return bucket;
    }
    if (this.#undefined.size >= UNDEFINED_REMEMBERED_MAX) this.#undefined.clear();
    const bucket = { name, incarnation: 0, version: epoch(0), properties: DEFAULT_PROPERTIES };
    this.#undefined.set(name, bucket);
    return bucket;
  }
}

/** Why the fixed property cannot change; undefined when the bucket is empty. */
async function whyKept(
  name: string,
  fixed: FixedProperty,
  detail: string,
  holdsKeys: () => Promise<KeysHeld>,
): Promise<BucketChange | undefined> {
  const holds = await holdsKeys().catch((error: unknown): KeysHeld => {
    return { detail: error instanceof Error ? error.message : String(error), votes: { needed: 1, got: 0 } };
  });
  if (holds === false) return undefined;
  if (holds !== true) {
    const why = `whether bucket ${name} holds keys cannot be told now: ${holds.detail}`;
    return { ...failed('not-applied', why), votes: holds.votes };
  }
  return { kind: 'refused', reason: 'conflict', property: fixed, detail };
}

function tooMany(detail: string): BucketChange {
  return { kind: 'refused', reason: 'too-many-buckets', detail };
}

function failed(outcome: BucketFailure['outcome'], detail: string): BucketFailure {
  return { kind: 'failed', outcome, detail };
}
