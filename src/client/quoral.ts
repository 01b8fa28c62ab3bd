/**
 * The client as its user sees it: one object for a cluster, with a handle for each bucket.
 */

import { Batches, type KeyCall } from './batches.ts';
import { Bucket, type BucketOptions } from './bucket.ts';
import type { Codec } from './codec.ts';
import { Counters, Flags, Maps, Registers, Sets, type Json } from './data-types.ts';
import { Directory, type Definition } from './directory.ts';
import { QuoralError } from './errors.ts';
import { jsonBody } from './json-body.ts';
import { sendAlone, type Shared } from './keys.ts';
import { Nodes } from './nodes.ts';
import { NumberedWrites } from './numbered-writes.ts';
import { RETRY_DEFAULTS, type RetrySettings } from './retry.ts';
import { realRuntime, type Fetch, type Runtime } from './runtime.ts';
import { Session } from './session.ts';
import { Transport, type Call, type Reply } from './transport.ts';

export interface ConnectOptions {
  /** Nodes to begin with; the others are found through them. */
  readonly urls: string | readonly string[];
  /** What the cluster wants to see, where it asks for tokens. */
  readonly token?: string;
  /** Milliseconds for an operation with all its attempts; 10 s when not given. */
  readonly timeout?: number;
  /** Milliseconds for one attempt: what a node that hangs costs. 3 s when not given. */
  readonly attemptTimeout?: number;
  readonly retry?: Partial<RetrySettings>;
  /**
   * Whether requests go to an owner of their key, at the address that it has in the ring. False where those addresses cannot be
   * reached from here, behind a load balancer say. True when not given.
   */
  readonly routing?: boolean;
  /**
   * Whether operations that are asked for at about the same time travel together: much cheaper for a program that asks for many
   * at once, and of no use to others. False when not given. Those of a session, and those with a timeout or signal of their own, go
   * by themselves.
   */
  readonly coalesce?: boolean;
  /** Another way to send requests than the global `fetch`. */
  readonly fetch?: Fetch;
}

const TIMEOUT_MS = 10_000;
const ATTEMPT_MS = 3000;

/** A client of the cluster. Nothing is sent before the first operation, and there is nothing to close. */
export function connect(options: ConnectOptions): Quoral {
  return connectIn(realRuntime(options.fetch), options);
}

/** For tests, with time and chance of their own. */
export function connectIn(runtime: Runtime, options: ConnectOptions): Quoral {
  const urls = typeof options.urls === 'string' ? [options.urls] : options.urls;
  requireAddresses(urls);
  const transport = new Transport(new Nodes(urls, () => runtime.random()), runtime, {
    token: options.token,
    timeoutMs: options.timeout ?? TIMEOUT_MS,
    attemptMs: options.attemptTimeout ?? ATTEMPT_MS,
    retry: { ...RETRY_DEFAULTS, ...options.retry },
  });
  const directory = new Directory(transport, options.routing ?? true);
  const alone = async (bucket: string, key: string, call: KeyCall): Promise<Reply> =>
    sendAlone(transport, directory.owners(bucket, key), bucket, key, call);
  const batches = options.coalesce === true ? new Batches(transport, alone) : undefined;
  const writes = new NumberedWrites(runtime);
  return new Quoral({ transport, directory, writes, batches, session: undefined });
}

function requireAddresses(urls: readonly string[]): void {
  const mistake = urls.length === 0 ? 'none was given' : urls.map(mistakeIn).find((one) => one !== undefined);
  if (mistake === undefined) return;
  throw new QuoralError('invalid-request', `urls: at least one node, such as http://127.0.0.1:7101; ${mistake}`);
}

/** What `fetch` would refuse, or what would swallow the path that comes behind it. */
function mistakeIn(url: string): string | undefined {
  const { protocol, username, password, search, hash } = URL.canParse(url) ? new URL(url) : NO_ADDRESS;
  if (username + password !== '') return 'one has a name or a password in it, and what nodes want to see is the token';
  return /^https?:$/.test(protocol) && search + hash === '' ? undefined : `${JSON.stringify(url)} was given`;
}

const NO_ADDRESS = { protocol: '', username: '', password: '', search: '', hash: '' };

/** What of a bucket's definition may be left out has its default. */
export type Properties = Partial<Definition>;

export class Quoral {
  readonly #shared: Shared;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** The same client in a session of its own: it reads what it writes, and never less than it has read. */
  session(): Quoral {
    return new Quoral({ ...this.#shared, session: new Session(this.#shared.transport.runtime) });
  }

  bucket<T>(name: string, codec: Codec<T>, options: BucketOptions<T> = {}): Bucket<T> {
    return new Bucket(this.#shared, name, codec, options);
  }

  counters(name: string): Counters {
    return new Counters(this.#shared, name);
  }

  sets<T extends Json = string>(name: string): Sets<T> {
    return new Sets<T>(this.#shared, name);
  }

  registers<T extends Json = Json>(name: string): Registers<T> {
    return new Registers<T>(this.#shared, name);
  }

  flags(name: string): Flags {
    return new Flags(this.#shared, name);
  }

  maps(name: string): Maps {
    return new Maps(this.#shared, name);
  }

  /** Defines the bucket; when the answer is there, every node knows it before it handles a request for that bucket. */
  async define(name: string, properties: Properties = {}): Promise<Definition> {
    const definition = await this.#json<Definition>({
      ...BUCKET_CHANGE,
      method: 'PUT',
      path: bucketPath(name),
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(properties),
      expected: [200, 201],
    });
    this.#shared.directory.forget();
    return definition;
  }

  /** Takes the bucket away, with all its keys. */
  async drop(name: string): Promise<void> {
    await this.#shared.transport.send({ ...BUCKET_CHANGE, method: 'DELETE', path: bucketPath(name), expected: [204] });
    this.#shared.directory.forget();
  }

  /** The buckets that somebody has defined. */
  async buckets(): Promise<readonly { readonly name: string; readonly properties: Definition }[]> {
    const { buckets } = await this.#json<{ buckets: readonly { name: string; properties: Definition }[] }>({
      method: 'GET',
      path: '/v1/buckets',
      expected: [200],
      changes: false,
      repeatable: true,
    });
    return buckets;
  }

  /** Looks at the ring now instead of with the first operation, so that this one already goes to an owner. */
  async ready(): Promise<void> {
    await this.#shared.directory.look();
  }

  /** The nodes that own the key, the first of them first; none while the ring is not known. */
  ownersOf(bucket: string, key: string): readonly string[] {
    return this.#shared.directory.owners(bucket, key);
  }

  async #json<R>(call: Call): Promise<R> {
    return jsonBody<R>((await this.#shared.transport.send(call)).body);
  }
}

/** Defining a bucket as it is, and dropping one that is not there, are no errors. */
const BUCKET_CHANGE = { changes: true, repeatable: true, tellsTimeout: true } as const;

function bucketPath(name: string): string {
  return `/v1/buckets/${encodeURIComponent(name)}`;
}
