/** What a client makes of the answer to its request: which writes it was shown, and what became of its own. */

import type { InProcessAnswer } from '#api/in-process.ts';
import type { Ending, WriteId, WriteRequest } from './history.ts';
import type { Reply } from './exchange.ts';

/** Statuses of a failed request that the contract allows for what the clients ask. */
const ALLOWED_FAILURES: ReadonlySet<number> = new Set([429, 503, 504, 507]);
const TOO_MANY_SIBLINGS = 409;
const PRECONDITION_FAILED = 412;
const WRITE_FAILURES: ReadonlySet<number> = new Set([...ALLOWED_FAILURES, TOO_MANY_SIBLINGS, PRECONDITION_FAILED]);

const decoder = new TextDecoder();

interface Heard {
  readonly ending: Ending;
  readonly answer: string;
  readonly coordinator: string | null;
}

export interface ReadHeard extends Heard {
  readonly shown: readonly WriteId[] | null;
  /** The context that came with what was shown. */
  readonly context: string | null;
  readonly etag: string | null;
}

export interface WriteHeard extends Heard {
  readonly outcome: WriteRequest['outcome'];
  readonly preconditionFailed: boolean;
  readonly context: string | null;
}

/** A value is the id of its write, and after a blank whatever it takes to make it longer. */
export function valueOf(write: WriteId, padding: number): string {
  return padding === 0 ? write : `${write} ${'.'.repeat(padding)}`;
}

export function writeIdIn(value: Uint8Array): WriteId {
  const text = decoder.decode(value);
  const blank = text.indexOf(' ');
  return blank < 0 ? text : text.slice(0, blank);
}

export function heardOfRead(reply: Reply): ReadHeard {
  if (reply.kind !== 'answered') return { ...unanswered(reply), shown: null, context: null, etag: null };
  const { answer } = reply;
  const context = answer.headers.get('quoral-context') ?? null;
  const etag = answer.headers.get('etag') ?? null;
  const heard = { ...answered(answer, ALLOWED_FAILURES), context, etag };
  switch (answer.status) {
    case 200:
      return { ...heard, shown: [writeIdIn(answer.body)] };
    case 300:
      return { ...heard, shown: siblings(answer) };
    case 404:
      return { ...heard, shown: [] };
    default:
      return { ...heard, shown: null, context: null };
  }
}

export function heardOfWrite(reply: Reply): WriteHeard {
  const nothing = { context: null, preconditionFailed: false };
  if (reply.kind !== 'answered') {
    const neverSent = reply.kind === 'connection-lost' && !reply.sent;
    return { ...unanswered(reply), ...nothing, outcome: neverSent ? 'not-applied' : 'unknown' };
  }
  const { answer } = reply;
  const heard = { ...answered(answer, WRITE_FAILURES), ...nothing };
  if (answer.status === 204) {
    return { ...heard, outcome: 'applied', context: answer.headers.get('quoral-context') ?? null };
  }
  if (answer.status === PRECONDITION_FAILED) return { ...heard, outcome: 'not-applied', preconditionFailed: true };
  const { outcome } = JSON.parse(decoder.decode(answer.body)) as { readonly outcome?: string };
  return { ...heard, outcome: outcome === 'not-applied' ? 'not-applied' : 'unknown' };
}

function unanswered(reply: Exclude<Reply, { kind: 'answered' }>): Heard {
  return { ending: reply.kind, answer: reply.kind, coordinator: null };
}

function answered(answer: InProcessAnswer, failures: ReadonlySet<number>): Heard {
  const fine = [200, 204, 300, 404].includes(answer.status);
  const coordinator = answer.headers.get('quoral-coordinator') ?? null;
  if (fine) return { ending: 'answered', answer: String(answer.status), coordinator };
  const text = `${answer.status} ${decoder.decode(answer.body).slice(0, 300)}`;
  return { ending: failures.has(answer.status) ? 'answered' : 'unexpected', answer: text, coordinator };
}

function siblings(answer: InProcessAnswer): readonly WriteId[] {
  const body = JSON.parse(decoder.decode(answer.body)) as { readonly siblings: readonly { readonly value: string }[] };
  return body.siblings.map(({ value }) => writeIdIn(Buffer.from(value, 'base64')));
}
