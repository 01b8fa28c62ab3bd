/**
 * Requests about one key: they go to an owner, carry the session, and note who answered. Keys travel in base64url, since no
 * HTTP client tidies that up.
 */

import { toBase64url, utf8 } from '#kernel/bytes.ts';
import type { Directory } from './directory.ts';
import type { ChangeOptions } from './requests.ts';
import type { Session } from './session.ts';
import type { Call, Reply, Transport } from './transport.ts';

/** What all parts of one client share. */
export interface Shared {
  readonly transport: Transport;
  readonly directory: Directory;
  /** Undefined outside a session. */
  readonly session: Session | undefined;
}

type KeyCall = Omit<Call, 'path' | 'owners'>;

export function keyPath(family: 'kv64' | 'explain', bucket: string, key: string): string {
  const name = encodeURIComponent(bucket);
  return `/v1/${family}/${name}/${family === 'kv64' ? toBase64url(utf8(key)) : encodeURIComponent(key)}`;
}

export async function askAboutKey(
  { transport, directory, session }: Shared,
  bucket: string,
  key: string,
  call: KeyCall,
): Promise<Reply> {
  const owners = directory.owners(bucket, key);
  const whole: Call = { ...call, path: keyPath('kv64', bucket, key), owners };
  const reply =
    session === undefined
      ? await transport.send(whole)
      : await session.around(async (tokens) =>
          transport.send({ ...whole, headers: { ...whole.headers, 'quoral-session': tokens } }),
        );
  directory.answered(owners, reply.headers.get('quoral-coordinator') ?? undefined);
  session?.saw(bucket, key, reply.headers.get('quoral-context') ?? undefined);
  return reply;
}

/**
 * To know all attempts of a write that one replica is enough for, all of them would have to be asked: such a write is meant to be
 * taken whatever is broken, and goes without a key.
 */
export function idempotencyKeyFor(
  { directory, transport }: Shared,
  bucket: string,
  { idempotencyKey, w, consistency }: ChangeOptions,
): string | false {
  if (idempotencyKey !== undefined) return idempotencyKey;
  const wanted = w ?? consistency ?? directory.knownDefinition(bucket)?.w;
  return wanted === 1 || wanted === 'one' ? false : transport.runtime.uniqueId();
}
