/**
 * What is under a key: nothing, one value, or siblings, with the context that a write which follows this read sends back.
 */

import { etagOf, happened, metaOf, type Happened, type Replicas } from './answer.ts';
import { fromBase64 } from './base64.ts';
import type { Codec } from './codec.ts';
import { QuoralError } from './errors.ts';
import { jsonBody } from './json-body.ts';
import type { Reply } from './transport.ts';

/** One of the versions that are live under a key. */
export class Sibling<T> {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  /** What it was stored with; the runtime may have decoded the bytes of a lone value accordingly. */
  readonly contentEncoding: string | undefined;
  readonly etag: string;
  readonly lastModified: Date;
  /** Undefined when it does not. */
  readonly expires: Date | undefined;
  readonly meta: Readonly<Record<string, string>>;
  readonly #codec: Codec<T>;

  constructor(facts: Omit<Sibling<T>, 'value'>, codec: Codec<T>) {
    this.bytes = facts.bytes;
    this.contentType = facts.contentType;
    this.contentEncoding = facts.contentEncoding;
    this.etag = facts.etag;
    this.lastModified = facts.lastModified;
    this.expires = facts.expires;
    this.meta = facts.meta;
    this.#codec = codec;
  }

  get value(): T {
    return this.#codec.decode(this.bytes, this.contentType);
  }
}

/** Makes one value of several that were written without having seen each other. Of the same siblings always the same. */
export type Resolve<T> = (siblings: readonly Sibling<T>[], key: string) => T;

export class Entry<T> implements Happened {
  readonly key: string;
  readonly siblings: readonly Sibling<T>[];
  /** Undefined for a key that never was, and in strong buckets. */
  readonly context: string | undefined;
  /** Of all siblings together; undefined when there is nothing. */
  readonly etag: string | undefined;
  readonly replicas: Replicas | undefined;
  readonly coordinator: string | undefined;
  readonly #resolve: Resolve<T> | undefined;

  constructor(key: string, reply: Reply, codec: Codec<T>, resolve: Resolve<T> | undefined) {
    const { headers } = reply;
    this.key = key;
    this.siblings = siblingsOf(reply, codec);
    this.context = headers.get('quoral-context') ?? undefined;
    this.etag = this.siblings.length === 0 ? undefined : etagOf(headers);
    const { replicas, coordinator } = happened(headers);
    this.replicas = replicas;
    this.coordinator = coordinator;
    this.#resolve = resolve;
  }

  get exists(): boolean {
    return this.siblings.length > 0;
  }

  /** The value, or what the bucket's `resolve` makes of its siblings; undefined when there is none. */
  get value(): T | undefined {
    if (this.siblings.length <= 1) return this.siblings[0]?.value;
    if (this.#resolve !== undefined) return this.#resolve(this.siblings, this.key);
    const advice = 'give the bucket a function `resolve`, or look at `siblings`';
    throw new QuoralError('siblings', `${this.key} has ${this.siblings.length} concurrent values: ${advice}`);
  }
}

interface SiblingView {
  readonly etag: string;
  readonly contentType: string;
  readonly contentEncoding?: string;
  readonly lastModified: string;
  readonly expires?: string;
  readonly meta: Readonly<Record<string, string>>;
  readonly value: string;
}

function siblingsOf<T>({ status, headers, body }: Reply, codec: Codec<T>): readonly Sibling<T>[] {
  if (status === 404 || status === 204) return [];
  if (status === 300) {
    const { siblings } = jsonBody<{ readonly siblings: readonly SiblingView[] }>(body);
    return siblings.map((view) => siblingOf(view, codec));
  }
  const one = {
    bytes: body,
    contentType: headers.get('content-type') ?? bytesType,
    contentEncoding: headers.get('content-encoding') ?? undefined,
    etag: etagOf(headers) ?? '',
    lastModified: new Date(headers.get('last-modified') ?? 0),
    expires: dateOf(headers.get('quoral-expires') ?? undefined),
    meta: metaOf(headers),
  };
  return [new Sibling(one, codec)];
}

const bytesType = 'application/octet-stream';

function siblingOf<T>(view: SiblingView, codec: Codec<T>): Sibling<T> {
  const { contentEncoding, lastModified, expires, value } = view;
  const times = { lastModified: new Date(lastModified), expires: dateOf(expires) };
  return new Sibling({ ...view, contentEncoding, bytes: fromBase64(value), ...times }, codec);
}

function dateOf(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : new Date(text);
}
