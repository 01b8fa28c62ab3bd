/**
 * Within a session, for each key: a read sees the session's own acknowledged writes (read your writes), and what an
 * earlier read of the session saw (monotonic reads), or what replaced that; and nothing that these have replaced. (Terry
 * et al. 1994.) Of two requests under way at once neither is the earlier one.
 */

import { compareRank } from './dots.ts';
import type { KeyHistories, KeyHistory, Write } from './key-history.ts';
import { MustKnow } from './must-know.ts';
import type { Violation } from './violation.ts';

/** Something the session learned, from this moment on; a write that was never acknowledged is never learned. */
interface Lesson {
  readonly from: number;
  readonly writes: readonly Write[];
}

export function checkSessionGuarantees(histories: KeyHistories): readonly Violation[] {
  return [...histories.values()].flatMap((key) => {
    const requests = [
      ...key.reads.map(({ request }) => request),
      ...[...key.writes.values()].flatMap((one) => one.requests),
    ];
    const sessions = new Set(requests.map(({ session }) => session));
    return [...sessions].flatMap((session) =>
      session === null || key.mode === 'strong' ? [] : inSession(key, session),
    );
  });
}

function inSession(key: KeyHistory, session: string): readonly Violation[] {
  const known = new MustKnow(key);
  const lessons = [...ownWrites(key, session), ...ownReads(key, session)].toSorted((a, b) => a.from - b.from);
  const violations: Violation[] = [...writesThatLose(key, session, lessons)];
  let next = 0;
  for (const read of key.reads) {
    if (read.request.session !== session) continue;
    for (; next < lessons.length && lessons[next]!.from < read.start; next++) {
      for (const write of lessons[next]!.writes) known.add(write);
    }
    for (const { kind, write, by } of known.faultsOf(read.shown, read.end)) {
      const reader = `a read of session ${session} at time ${read.request.start.time} shows [${read.shown.join()}]`;
      const detail =
        kind === 'missing'
          ? `${reader} and neither ${write}, known to the session, nor what replaced it`
          : `${reader}, though the session knows ${by.id}, which replaced ${write}`;
      const writes = kind === 'missing' ? [write] : [write, by.id];
      violations.push({ check: 'session-guarantees', key: key.name, detail, writes });
    }
  }
  return violations;
}

/**
 * Where the last write wins, a write of the session comes after all that the session has seen: it would be no write of its
 * own that a read shows if it lost against that. Requests that were sent again are left out, for their second dots.
 */
function writesThatLose(key: KeyHistory, session: string, lessons: readonly Lesson[]): readonly Violation[] {
  if (key.mode !== 'lww') return [];
  const once = ({ requests, dots }: Write): boolean => requests.length === 1 && dots.length === 1;
  return [...key.writes.values()].flatMap((write) => {
    if (write.requests[0]!.session !== session || write.acknowledged === Infinity || !once(write)) return [];
    const earlier = lessons.filter(({ from }) => from < write.start).flatMap(({ writes }) => writes);
    const rival = earlier.find((seen) => once(seen) && compareRank(seen.dots[0]!, write.dots[0]!) > 0);
    if (rival === undefined) return [];
    const detail = `in session ${session}, ${write.id} loses against ${rival.id}, which the session had seen before`;
    return [{ check: 'session-guarantees', key: key.name, detail, writes: [write.id, rival.id] } as const];
  });
}

function ownWrites(key: KeyHistory, session: string): readonly Lesson[] {
  return [...key.writes.values()].flatMap((write) => {
    if (write.requests[0]!.session !== session) return [];
    return [{ from: write.acknowledged, writes: [write] }];
  });
}

function ownReads(key: KeyHistory, session: string): readonly Lesson[] {
  return key.reads.flatMap(({ shown, end, request }) => {
    if (request.session !== session) return [];
    return [{ from: end, writes: shown.flatMap((id) => key.writes.get(id) ?? []) }];
  });
}
