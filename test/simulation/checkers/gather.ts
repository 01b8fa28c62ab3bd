/** Turns the requests of a run into one history for each key. */

import { assert, present } from '#kernel/assert.ts';
import type {
  Dot,
  History,
  ReadQuorum,
  ReadRequest,
  WhiteBox,
  WriteId,
  WriteQuorum,
  WriteRequest,
} from '../history.ts';
import { showDot } from './dots.ts';
import { keyName } from './key-history.ts';
import type { AnsweredRead, KeyHistories, KeyHistory, Write } from './key-history.ts';
import { MustKnow } from './must-know.ts';

/** Throws AssertionError for a history that no run of sane clients leaves behind, such as two keys with one write id. */
export function keyHistories(history: History, whiteBox: WhiteBox): KeyHistories {
  const requests = new Map<string, { reads: ReadRequest[]; writes: Map<WriteId, WriteRequest[]> }>();
  const keyOf = new Map<WriteId, string>();
  for (const request of history.requests) {
    const name = keyName(request.bucket, request.key);
    const entry = getOrAdd(requests, name, () => ({ reads: [], writes: new Map() }));
    if (request.kind === 'read') {
      entry.reads.push(request);
      continue;
    }
    const owner = getOrAdd(keyOf, request.write, () => name);
    assert(owner === name, `write ${request.write} is told of two keys, ${owner} and ${name}`);
    getOrAdd(entry.writes, request.write, () => []).push(request);
  }
  const dots = dotsOf(whiteBox);
  const lost = new Set(history.mayBeLost);
  const histories = new Map<string, KeyHistory>();
  for (const [name, { reads, writes }] of requests) {
    const merged = [...writes.values()].map((attempts) => writeOf(attempts, dots, lost, history.losesUnsynced));
    histories.set(name, keyHistory(history, name, merged, reads));
  }
  return histories;
}

function dotsOf(whiteBox: WhiteBox): ReadonlyMap<WriteId, Dot[]> {
  const dots = new Map<WriteId, Dot[]>();
  const seen = new Set<string>();
  const add = (write: WriteId, dot: Dot): void => {
    const name = `${showDot(dot)} ${write}`;
    if (seen.has(name)) return;
    seen.add(name);
    getOrAdd(dots, write, () => []).push(dot);
  };
  for (const { write, dot } of whiteBox.mints) add(write, dot);
  for (const { versions } of [...whiteBox.samples, ...(whiteBox.final?.replicas ?? [])]) {
    for (const { write, dot } of versions) if (write !== null) add(write, dot);
  }
  return dots;
}

function writeOf(
  requests: readonly WriteRequest[],
  dots: ReadonlyMap<WriteId, readonly Dot[]>,
  lost: ReadonlySet<WriteId>,
  losesUnsynced: boolean,
): Write {
  const first = present(requests[0], 'first request');
  for (const retry of requests.slice(1)) {
    const same = retry.kind === first.kind && retry.idempotencyKey === first.idempotencyKey;
    assert(same && first.idempotencyKey !== null, `write ${first.write} is told of two requests that are no retries`);
  }
  const applied = requests.filter(({ outcome, end }) => outcome === 'applied' && end !== null);
  const acknowledgement = applied.toSorted((a, b) => a.end!.order - b.end!.order)[0];
  const counts = acknowledgement !== undefined && !lost.has(first.write);
  return {
    id: first.write,
    kind: first.kind,
    outcome: outcomeOf(requests, counts),
    start: Math.min(...requests.map(({ start }) => start.order)),
    acknowledged: counts ? acknowledgement.end!.order : Infinity,
    holders: counts ? holdersOf(acknowledgement.quorum, losesUnsynced) : 0,
    replaces: (first.covers ?? []).filter((id) => id !== first.write),
    finds: first.kind === 'delete' && first.covers === null,
    dots: dots.get(first.write) ?? [],
    requests,
  };
}

function outcomeOf(requests: readonly WriteRequest[], counts: boolean): Write['outcome'] {
  if (counts) return 'applied';
  return requests.every(({ outcome }) => outcome === 'not-applied') ? 'not-applied' : 'unknown';
}

/** Fallbacks may have stood in for the owners in what `w` and `dw` count. */
function holdersOf({ w, pw, dw, sloppy }: WriteQuorum, losesUnsynced: boolean): number {
  if (losesUnsynced) return sloppy ? 0 : dw;
  return sloppy ? pw : Math.max(w, pw);
}

function answerersOf({ r, pr, sloppy }: ReadQuorum): number {
  return sloppy ? pr : Math.max(r, pr);
}

function keyHistory(history: History, name: string, writes: Write[], requests: readonly ReadRequest[]): KeyHistory {
  const { bucket, key } = writes[0]?.requests[0] ?? present(requests[0], 'request');
  const { mode, owners } = present(history.buckets[bucket], `bucket ${bucket} of the history`);
  const most = history.majoritiesOnly === true ? Math.floor(owners / 2) + 1 : owners;
  const reads = requests.flatMap((request): readonly AnsweredRead[] => {
    const { start, end, shown, quorum } = request;
    if (shown === null || end === null) return [];
    return [{ start: start.order, end: end.order, answerers: Math.min(answerersOf(quorum), most), shown, request }];
  });
  const inOrder = writes
    .map((write) => (write.holders > most ? { ...write, holders: most } : write))
    .toSorted((a, b) => a.start - b.start);
  const sorted = reads.toSorted((a, b) => a.start - b.start);
  const facts = { bucket, key, name, mode, owners, reads: sorted };
  const complete = whatDeletesFound({ ...facts, ...relations(inOrder) }, inOrder, most);
  return { ...facts, ...relations(complete) };
}

/**
 * A request that was sent again while its first attempt lay at an owner that could not be asked has two dots. Who replaces
 * what one of them wrote has not seen the other, which may come to light later: not certainly superseded, and not missing.
 * Once owners have confirmed an attempt no later one may get a dot.
 */
function mayHaveTwoDots({ dots, requests, acknowledged, holders }: Write): boolean {
  if (dots.length < 2) return false;
  return holders === 0 || requests.filter(({ start }) => start.order < acknowledged).length > 1;
}

function relations(writes: readonly Write[]) {
  const twice = new Set(writes.filter(mayHaveTwoDots).map(({ id }) => id));
  const successors = new Map<WriteId, Write[]>();
  const certain = writes.map((write): Write => {
    const { replaces } = write;
    const sure = twice.size === 0 ? write : { ...write, replaces: replaces.filter((id) => !twice.has(id)) };
    for (const id of replaces) getOrAdd(successors, id, () => []).push(sure);
    return sure;
  });
  return {
    writes: new Map(certain.map((write) => [write.id, write])),
    successors,
    deletes: certain.filter(({ kind }) => kind === 'delete'),
  };
}

/** A delete without a context certainly finds what its own read has to know. */
function whatDeletesFound(history: KeyHistory, writes: readonly Write[], most: number): readonly Write[] {
  if (history.mode !== 'siblings' || !writes.some(({ finds }) => finds)) return writes;
  const found = new Map<WriteId, readonly WriteId[]>();
  const quorums = Array.from({ length: history.owners + 1 }, () => new MustKnow(history));
  const events = writes.flatMap((write) => [
    { order: write.start, write, kind: 'start' as const },
    { order: write.acknowledged, write, kind: 'acknowledged' as const },
  ]);
  for (const { order, write, kind } of events.toSorted((a, b) => a.order - b.order)) {
    if (order === Infinity) break;
    if (kind === 'acknowledged') {
      const replaces = found.get(write.id);
      const complete = replaces === undefined ? write : { ...write, replaces };
      for (const [answerers, quorum] of quorums.entries()) {
        if (answerers + write.holders > history.owners) quorum.add(complete);
      }
    } else if (write.finds) {
      const [request] = write.requests;
      const answerers = Math.min(answerersOf(request!.quorum), most);
      found.set(write.id, quorums[answerers]!.mustShow());
    }
  }
  return writes.map((write) => ({ ...write, replaces: found.get(write.id) ?? write.replaces }));
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const had = map.get(key);
  if (had !== undefined) return had;
  const made = make();
  map.set(key, made);
  return made;
}
