/** What an answer's headers say: what happened, and what the object is like. */

/** `Quoral-Replicas`, as numbers. */
export interface Replicas {
  readonly acked: number;
  readonly needed: number;
  readonly of: number;
  readonly fallbacks: number;
}

/** What every answer about a key says. */
export interface Happened {
  readonly replicas: Replicas | undefined;
  /** The owner that made the version, or the node that merged the read. */
  readonly coordinator: string | undefined;
}

export function happened(headers: Headers): Happened {
  const text = headers.get('quoral-replicas');
  return {
    replicas: text === null ? undefined : replicasOf(text),
    coordinator: headers.get('quoral-coordinator') ?? undefined,
  };
}

function replicasOf(text: string): Replicas {
  const fields = new Map(text.split(';').map((part) => part.trim().split('=') as [string, string]));
  const number = (name: string): number => Number(fields.get(name) ?? 0);
  return { acked: number('acked'), needed: number('needed'), of: number('of'), fallbacks: number('fallbacks') };
}

const META_PREFIX = 'quoral-meta-';

/** `Quoral-Meta-*`, without that prefix and in lower case. */
export function metaOf(headers: Headers): Readonly<Record<string, string>> {
  const meta: Record<string, string> = {};
  headers.forEach((value, name) => {
    if (name.startsWith(META_PREFIX)) meta[name.slice(META_PREFIX.length)] = value;
  });
  return meta;
}

export function metaHeaders(meta: Readonly<Record<string, string>> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(meta ?? {}).map(([name, value]) => [META_PREFIX + name, value]));
}

/** Without its quotes. */
export function etagOf(headers: Headers): string | undefined {
  return headers.get('etag')?.replace(/^(W\/)?"(.*)"$/, '$2');
}
