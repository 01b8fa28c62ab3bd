/**
 * Requests about one key: they go to an owner, carry the session, and note who answered. Keys travel in base64url, since no
 * HTTP client tidies that up.
 */

import { toBase64url } from '#kernel/base64.ts';
import { utf8 } from '#kernel/bytes.ts';
import type { Batches, KeyCall } from './batches.ts';
import type { Directory } from './directory.ts';
import { QuoralError } from './errors.ts';
import type { NumberedWrites } from './numbered-writes.ts';
import type { ChangeOptions } from './requests.ts';
import type { Session } from './session.ts';
import type { Reply, Transport } from './transport.ts';

/** What all parts of one client share. */
export interface Shared {
  readonly transport: Transport;
  readonly directory: Directory;
  readonly writes: NumberedWrites;
  /** Undefined where each operation goes by itself. */
  readonly batches: Batches | undefined;
  /** Undefined outside a session. */
  readonly session: Session | undefined;
}

export function keyPath(family: 'kv64' | 'leases64', bucket: string, key: string): string {
  return `/v1/${family}/${encodeURIComponent(bucket)}/${toBase64url(utf8(key))}`;
}

/** What is no text has no UTF-8: it would be taken for another key. */
export function requireText(key: string, changes: boolean): void {
  if (key.isWellFormed()) return;
  const facts = { field: 'key', ...(changes ? { outcome: 'not-applied' as const } : {}) };
  throw new QuoralError('invalid-request', 'key: holds half a character (a lone surrogate)', facts);
}

export async function askAboutKey(shared: Shared, bucket: string, key: string, call: KeyCall): Promise<Reply> {
  const { transport, directory, batches, session } = shared;
  requireText(key, call.changes);
  const owners = directory.owners(bucket, key);
  const send = async (whole: KeyCall): Promise<Reply> => sendAlone(transport, owners, bucket, key, whole);
  let reply: Reply;
  if (session !== undefined) {
    const since = call.since ?? transport.runtime.now();
    const answer = await session.around(
      async (tokens) => send({ ...call, since, headers: { ...call.headers, 'quoral-session': tokens } }),
      transport.timeOf(call),
      call.signal,
    );
    if (answer === undefined) throw neverAsked(call);
    reply = answer;
  } else if (batches !== undefined) reply = await batches.ask(bucket, key, call, owners);
  else reply = await send(call);
  directory.answered(owners, reply.headers.get('quoral-coordinator') ?? undefined);
  session?.saw(bucket, key, reply.headers.get('quoral-context') ?? undefined);
  return reply;
}

function neverAsked({ signal, changes }: KeyCall): QuoralError {
  const facts = changes ? { outcome: 'not-applied' as const } : {};
  if (signal?.aborted === true) return new QuoralError('aborted', 'the caller has given up', facts);
  return new QuoralError('timed-out', 'other requests of the session took all the time', facts);
}

export async function sendAlone(
  transport: Transport,
  owners: readonly string[],
  bucket: string,
  key: string,
  call: KeyCall,
): Promise<Reply> {
  return transport.send({ ...call, path: keyPath('kv64', bucket, key), owners, bears: 'quoral-replicas' });
}

/** A call without what follows from its being a change, and from the options of that. */
interface Change extends Pick<KeyCall, 'method' | 'query' | 'headers' | 'body' | 'expected'> {
  /** Whether it may arrive twice without a difference though it has no idempotency key. */
  readonly repeatable?: true;
}

/** Asks for a change, with an idempotency key where that is wanted. */
export async function changeKey(
  shared: Shared,
  bucket: string,
  key: string,
  change: Change,
  options: ChangeOptions,
): Promise<Reply> {
  const { idempotencyKey, atLeastOnce = false, timeout, signal } = options;
  const made = wantsMadeUpKey(shared, bucket, options) ? shared.writes.begin(bucket, key) : undefined;
  const shown = made?.idempotencyKey ?? (idempotencyKey === false ? undefined : idempotencyKey);
  const call = {
    ...change,
    headers: shown === undefined ? change.headers : { ...change.headers, 'idempotency-key': shown },
    changes: true,
    repeatable: shown !== undefined || atLeastOnce || change.repeatable === true,
    timeoutMs: timeout,
    tellsTimeout: timeout !== undefined,
    signal,
  };
  // Other buckets have no use for it.
  const isOfUse = shared.directory.knownDefinition(bucket)?.consistency !== 'eventual';
  const below = isOfUse ? made?.answeredBelow : undefined;
  try {
    return await (below === undefined
      ? askAboutKey(shared, bucket, key, call)
      : askTelling(shared, bucket, key, call, below));
  } finally {
    made?.end();
  }
}

const ANSWERED_BELOW = 'quoral-answered-below';

/** Says with the change which are over; nodes of an earlier release are asked without that. */
async function askTelling(shared: Shared, bucket: string, key: string, call: KeyCall, below: number): Promise<Reply> {
  const since = shared.transport.runtime.now();
  const telling = { ...call, headers: { ...call.headers, [ANSWERED_BELOW]: String(below) } };
  try {
    return await askAboutKey(shared, bucket, key, telling);
  } catch (error) {
    if (!isUnknownThere(error)) throw error;
    shared.writes.notUnderstood();
    return await askAboutKey(shared, bucket, key, { ...call, since }).catch((last: unknown) => {
      throw error.outcome === 'unknown' && last instanceof QuoralError ? last.with({ outcome: 'unknown' }) : last;
    });
  }
}

/** What a node says to a header that it does not know. */
function isUnknownThere(error: unknown): error is QuoralError {
  return error instanceof QuoralError && error.code === 'invalid-request' && error.facts.field === ANSWERED_BELOW;
}

/**
 * To know all attempts of a write that one replica is enough for, all of them would have to be asked: such a write is meant to be
 * taken whatever is broken, and goes without a key.
 */
function wantsMadeUpKey(
  { directory }: Shared,
  bucket: string,
  { idempotencyKey, atLeastOnce = false, w, consistency }: ChangeOptions,
): boolean {
  if (idempotencyKey !== undefined || atLeastOnce) return false;
  const wanted = w ?? consistency ?? directory.knownDefinition(bucket)?.w;
  return wanted !== 1 && wanted !== 'one';
}
