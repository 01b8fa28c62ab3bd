/**
 * A bucket of values: reading, writing, deleting, and changing a value in a way that loses nothing of what others write at the
 * same time.
 */

import { etagOf, happened, metaHeaders, type Happened } from './answer.ts';
import type { Codec } from './codec.ts';
import type { Definition } from './directory.ts';
import { Entry, type Resolve } from './entry.ts';
import { QuoralError } from './errors.ts';
import { askAboutKey, changeKey, type Shared } from './keys.ts';
import { Lease, type LeaseWish } from './lease.ts';
import { listKeys, listPage, type ListOptions, type Page } from './listing.ts';
import { queryOf, type DeleteOptions, type PutOptions, type ReadOptions, type TouchOptions } from './requests.ts';
import { pause } from './runtime.ts';
import { touchKey } from './touch.ts';
import { watchBucket, type Change, type WatchOptions } from './watch.ts';

export interface BucketOptions<T> {
  /** What one value is to be made of several. Without it, reading `value` of a key with siblings throws. */
  readonly resolve?: Resolve<T>;
}

/** A write that was applied. */
export interface Written extends Happened {
  readonly etag: string | undefined;
  /** Absent when other versions are live beside it, and in strong buckets. */
  readonly context: string | undefined;
}

/** How often `update` begins anew because others were faster. */
const UPDATES_MAX = 32;
const UPDATE_PAUSE_MS = 10;
const UPDATE_PAUSE_MAX_MS = 500;

export class Bucket<T> {
  readonly name: string;
  readonly #shared: Shared;
  readonly #codec: Codec<T>;
  readonly #resolve: Resolve<T> | undefined;

  constructor(shared: Shared, name: string, codec: Codec<T>, { resolve }: BucketOptions<T>) {
    this.name = name;
    this.#shared = shared;
    this.#codec = codec;
    this.#resolve = resolve;
  }

  /** What is under the key; an entry without a value when there is nothing. */
  async get(key: string, options: ReadOptions = {}): Promise<Entry<T>> {
    const reply = await askAboutKey(this.#shared, this.name, key, {
      method: 'GET',
      query: queryOf(options),
      headers: { accept: 'application/json, */*;q=0.9' },
      expected: [200, 300, 404],
      changes: false,
      repeatable: true,
      timeoutMs: options.timeout,
      tellsTimeout: options.timeout !== undefined,
      signal: options.signal,
    });
    return new Entry(key, reply, this.#codec, this.#resolve);
  }

  /** Stores the value. With `follows` it replaces what that read showed, and nothing else. */
  async put(key: string, value: T, options: PutOptions = {}): Promise<Written> {
    const { contentType, contentEncoding, meta } = options;
    const headers: Record<string, string> = {
      'content-type': contentType ?? this.#codec.contentType,
      ...metaHeaders(meta),
    };
    if (contentEncoding !== undefined) headers['content-encoding'] = contentEncoding;
    if (options.ifAbsent === true) headers['if-none-match'] = '*';
    return this.#change('PUT', key, headers, options, this.#codec.encode(value));
  }

  /** Removes what is under the key, or what `follows` has shown of it. */
  async delete(key: string, options: DeleteOptions = {}): Promise<Written> {
    return this.#change('DELETE', key, {}, options, undefined);
  }

  /**
   * Lets what is there live for `ttl` seconds from now on, or as long as the bucket says; never shorter than it would have.
   * Nothing else changes, so it can neither bring back nor replace what others delete or write. Throws `not-found` when
   * there is nothing.
   */
  async touch(key: string, options: TouchOptions = {}): Promise<Happened> {
    return touchKey(this.#shared, this.name, key, options);
  }

  /**
   * Reads, lets `change` make the new value of the present one, and stores that as what follows the read. Siblings are
   * resolved by it. In a strong bucket it begins anew when somebody else was faster, so `change` may run several times.
   * When `change` returns undefined nothing is written.
   */
  async update(
    key: string,
    change: (value: T | undefined, entry: Entry<T>) => T | undefined | Promise<T | undefined>,
    options: Omit<PutOptions, 'follows' | 'ifMatch' | 'ifAbsent'> = {},
  ): Promise<T | undefined> {
    const { runtime } = this.#shared.transport;
    for (let round = 1; ; round++) {
      const { consistency, timeout, signal, sloppy } = options;
      const entry = await this.get(key, defined({ consistency, timeout, signal, sloppy }));
      const value = await change(entry.value, entry);
      if (value === undefined) return entry.value;
      try {
        await this.put(key, value, { ...options, follows: entry });
        return value;
      } catch (error) {
        const overtaken = error instanceof QuoralError && error.code === 'precondition-failed';
        if (!overtaken || error.outcome !== 'not-applied' || round === UPDATES_MAX) throw error;
        const ceiling = Math.min(UPDATE_PAUSE_MAX_MS, UPDATE_PAUSE_MS * 2 ** round);
        await pause(runtime, runtime.random() * ceiling, signal);
      }
    }
  }

  /** All keys in order, or those with the prefix, as they come. */
  keys(options: ListOptions = {}): AsyncGenerator<string, void, undefined> {
    return listKeys(this.#shared, this.name, options);
  }

  /** One page of keys, for those who keep its `next` to go on from there later. */
  async page(options: ListOptions = {}): Promise<Page> {
    return listPage(this.#shared, this.name, options);
  }

  /** Changes as they happen, at least once each, through restarts of nodes; ends by the signal or with the loop. */
  watch(options: WatchOptions = {}): AsyncGenerator<Change, void, undefined> {
    return watchBucket(this.#shared, this.name, options);
  }

  /** In a strong bucket: a lock with an end. Throws `conflict` when somebody else holds it. */
  async lease(key: string, wish: LeaseWish): Promise<Lease> {
    return Lease.acquire(this.#shared, this.name, key, wish);
  }

  async definition(): Promise<Definition> {
    return this.#shared.directory.definition(this.name);
  }

  async #change(
    method: 'PUT' | 'DELETE',
    key: string,
    content: Readonly<Record<string, string>>,
    options: PutOptions,
    body: Uint8Array | undefined,
  ): Promise<Written> {
    const headers = { ...content, ...(await this.#preconditions(key, options)) };
    const change = { method, query: queryOf(options), headers, body, expected: [204] };
    const reply = await changeKey(this.#shared, this.name, key, change, options);
    const context = reply.headers.get('quoral-context') ?? undefined;
    return { etag: etagOf(reply.headers), context, ...happened(reply.headers) };
  }

  /** What the write follows: a context, or where there are none the tag of what was read. */
  async #preconditions(key: string, options: PutOptions): Promise<Record<string, string>> {
    const { follows, ifMatch, ifAbsent } = options;
    const explicit: Record<string, string> = ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` };
    if (typeof follows === 'string') return { ...explicit, 'quoral-context': follows };
    if (follows === undefined) {
      const conditional = ifMatch !== undefined || ifAbsent === true;
      const seen = conditional ? undefined : this.#shared.session?.contextOf(this.name, key);
      return seen === undefined ? explicit : { ...explicit, 'quoral-context': seen };
    }
    if (follows.context !== undefined) return { ...explicit, 'quoral-context': follows.context };
    if (ifMatch !== undefined) return explicit;
    // What is there has a context, but in a strong bucket: no need to rely on a definition that may be another one by now.
    if (follows.exists) return { 'if-match': `"${follows.etag}"` };
    const strong = (await this.definition()).consistency === 'strong';
    return strong ? { 'if-none-match': '*' } : {};
  }
}

/** Without what is not given: an option that is there and undefined is another thing than none. */
function defined<O extends object>(options: O): { [K in keyof O]?: Exclude<O[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof O]?: Exclude<O[K], undefined>;
  };
}
