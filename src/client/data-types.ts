/**
 * Data types: operations that say what is meant, so that those made at the same time all count. Each operation has an idempotency
 * key and is safe to send again, but for one that a single replica is enough for: that is only sent again when it was not applied.
 */

import { utf8 } from '#kernel/bytes.ts';
import { etagOf, happened, type Happened } from './answer.ts';
import { QuoralError } from './errors.ts';
import { jsonBody } from './json-body.ts';
import { askAboutKey, changeKey, type Shared } from './keys.ts';
import { queryOf, type ChangeOptions, type ReadOptions } from './requests.ts';

export type DataType = 'counter' | 'set' | 'map' | 'register' | 'flag';

/** What stands in sets and registers. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** The operations of each type, as they are sent. */
export interface Operations {
  readonly counter: { readonly op: 'increment'; readonly by: number };
  readonly set: { readonly op: 'add' | 'remove'; readonly values: readonly Json[] };
  readonly register: { readonly op: 'assign'; readonly value: Json };
  readonly flag: { readonly op: 'enable' | 'disable' };
  readonly map: MapUpdate | { readonly op: 'remove'; readonly field: string };
}

type MapUpdate = {
  readonly [K in Exclude<DataType, never>]: {
    readonly op: 'update';
    readonly field: string;
    readonly type: K;
    readonly with: Operations[K];
  };
}[DataType];

/** What a map holds: a value for each field. */
export type MapValue = { readonly [field: string]: unknown };

export interface OperationOptions extends ChangeOptions {
  /** What a removal has seen; without it the node looks for itself. */
  readonly context?: string;
  /** ETag that must be there. */
  readonly ifMatch?: string;
  /** Only when there is nothing yet. */
  readonly ifAbsent?: boolean;
}

/** What was seen of a key, and what to say with a change that follows it. */
export interface Look {
  /** Undefined when there is nothing. */
  readonly view: DataView | undefined;
  readonly context: string | undefined;
  readonly etag: string | undefined;
}

/** What a node shows of a key. */
export interface DataView {
  readonly type: DataType;
  readonly value: Json;
  /** Of a register that was assigned at several places at once: all values, the latest last. */
  readonly concurrent?: readonly Json[];
  /** Of a map: what each field is; of a field that is a map what its fields are. */
  readonly types?: { readonly [field: string]: unknown };
}

/** The ground of all of them: one operation, and reading. */
class TypedBucket<K extends DataType, V> {
  readonly name: string;
  readonly type: K;
  readonly #shared: Shared;
  readonly #nothing: V;

  constructor(shared: Shared, name: string, type: K, nothing: V) {
    this.#shared = shared;
    this.name = name;
    this.type = type;
    this.#nothing = nothing;
  }

  /** With the context that a removal can send back. */
  async read(key: string, options: ReadOptions = {}): Promise<{ readonly value: V; readonly context?: string }> {
    const { view, context } = await this.look(key, options);
    const value = view === undefined ? this.#nothing : (view.value as V);
    return { value, ...(context === undefined ? {} : { context }) };
  }

  /** What a node shows of the key, of a map with what its fields are. */
  async look(key: string, options: ReadOptions = {}): Promise<Look> {
    const reply = await askAboutKey(this.#shared, this.name, key, {
      method: 'GET',
      query: queryOf(options),
      headers: { accept: 'application/json' },
      expected: [200, 404],
      changes: false,
      repeatable: true,
      timeoutMs: options.timeout,
      tellsTimeout: options.timeout !== undefined,
      signal: options.signal,
    });
    const context = reply.headers.get('quoral-context') ?? undefined;
    if (reply.status === 404) return { view: undefined, context, etag: undefined };
    const view = jsonBody<DataView>(reply.body);
    if (view.type === this.type) return { view, context, etag: etagOf(reply.headers) };
    throw new QuoralError('bad-answer', `bucket ${this.name} holds a ${view.type} and no ${this.type}`);
  }

  async apply(
    key: string,
    operation: Operations[K],
    options: OperationOptions = {},
  ): Promise<Happened & { readonly etag: string | undefined }> {
    const { context, ifMatch, ifAbsent } = options;
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (context !== undefined) headers['quoral-context'] = context;
    if (ifMatch !== undefined) headers['if-match'] = `"${ifMatch}"`;
    if (ifAbsent === true) headers['if-none-match'] = '*';
    const body = utf8(JSON.stringify(operation));
    const change = { method: 'POST', query: queryOf(options), headers, body, expected: [200, 204] } as const;
    const reply = await changeKey(this.#shared, this.name, key, change, options);
    return { ...happened(reply.headers), etag: etagOf(reply.headers) };
  }
}

export class Counters extends TypedBucket<'counter', number> {
  constructor(shared: Shared, name: string) {
    super(shared, name, 'counter', 0);
  }

  async get(key: string, options?: ReadOptions): Promise<number> {
    return (await this.read(key, options)).value;
  }

  async increment(key: string, by = 1, options?: OperationOptions): Promise<void> {
    await this.apply(key, { op: 'increment', by }, options);
  }
}

export class Sets<T extends Json = string> extends TypedBucket<'set', readonly T[]> {
  constructor(shared: Shared, name: string) {
    super(shared, name, 'set', []);
  }

  async get(key: string, options?: ReadOptions): Promise<readonly T[]> {
    return (await this.read(key, options)).value;
  }

  async add(key: string, values: readonly T[], options?: OperationOptions): Promise<void> {
    await this.apply(key, { op: 'add', values }, options);
  }

  /** Takes away what the cluster, or `context`, has seen of the values; one that is added at the same time stays. */
  async remove(key: string, values: readonly T[], options?: OperationOptions): Promise<void> {
    await this.apply(key, { op: 'remove', values }, options);
  }
}

export class Registers<T extends Json = Json> extends TypedBucket<'register', T | undefined> {
  constructor(shared: Shared, name: string) {
    super(shared, name, 'register', undefined);
  }

  async get(key: string, options?: ReadOptions): Promise<T | undefined> {
    return (await this.read(key, options)).value;
  }

  async assign(key: string, value: T, options?: OperationOptions): Promise<void> {
    await this.apply(key, { op: 'assign', value }, options);
  }
}

export class Flags extends TypedBucket<'flag', boolean> {
  constructor(shared: Shared, name: string) {
    super(shared, name, 'flag', false);
  }

  async get(key: string, options?: ReadOptions): Promise<boolean> {
    return (await this.read(key, options)).value;
  }

  async enable(key: string, options?: OperationOptions): Promise<void> {
    await this.apply(key, { op: 'enable' }, options);
  }

  async disable(key: string, options?: OperationOptions): Promise<void> {
    await this.apply(key, { op: 'disable' }, options);
  }
}

export class Maps extends TypedBucket<'map', MapValue> {
  constructor(shared: Shared, name: string) {
    super(shared, name, 'map', {});
  }

  async get(key: string, options?: ReadOptions): Promise<MapValue> {
    return (await this.read(key, options)).value;
  }

  /** An operation on one field, which is of the type. */
  async update<K extends DataType>(
    key: string,
    field: string,
    type: K,
    operation: Operations[K],
    options?: OperationOptions,
  ): Promise<void> {
    await this.apply(key, { op: 'update', field, type, with: operation } as MapUpdate, options);
  }

  async remove(key: string, field: string, options?: OperationOptions): Promise<void> {
    await this.apply(key, { op: 'remove', field }, options);
  }
}
