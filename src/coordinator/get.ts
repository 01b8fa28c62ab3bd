/**
 * The story of a GET: ask as many owners as the request needs, this node first; ask the others when one fails or is slow;
 * join what they answer; mend those that turned out to be behind.
 */

import { EMPTY_STATE, type State, type Version } from '#causality/state.ts';
import { CorruptState } from '#causality/state-codec.ts';
import type { RetryRow } from '#replica/retry-codec.ts';
import { REDEFINED, sameBucketNow, STOPPED_SERVING, type Environment } from './environment.ts';
import { isFullAnywhere, retriesIn } from './join-answers.ts';
import { ReadRound } from './read-round.ts';
import type { Agreement, ReadOutcome, ReadRequest, RoundRequest } from './requests.ts';

/** What the owners have, joined, before anything is hidden from a reader. */
export type Gathered =
  | {
      readonly kind: 'gathered';
      readonly state: State;
      readonly agreement: Agreement;
      readonly retries: readonly RetryRow[];
      readonly retriesFull: boolean;
    }
  | (Extract<ReadOutcome, { kind: 'failed' }> & {
      readonly retries: readonly RetryRow[];
      /** What the too few that have answered have together, when one of them knows what the request has become. */
      readonly state?: State;
    });

export async function readKey(environment: Environment, request: ReadRequest): Promise<ReadOutcome> {
  const gathered = await gather(environment, request);
  if (gathered.kind === 'failed') return gathered;
  const { state, agreement } = gathered;
  const versions = liveVersions(state, environment.world.clock.wall());
  // By a clock that may have jumped since the request came.
  const mayBeLive = versions.length < state.versions.length && !environment.ready();
  if (mayBeLive) return { kind: 'failed', trouble: 'not-ready', detail: STOPPED_SERVING, agreement };
  return { kind: 'found', agreement, coordinator: environment.self, versions, context: state.vector };
}

/**
 * Asks until enough owners have answered, again when the ring has changed meanwhile. In a session it asks on, of everybody,
 * until what the session has seen is known or the time is over.
 */
export async function gather(environment: Environment, request: RoundRequest): Promise<Gathered> {
  let before: ReadRound | undefined;
  let whole = false;
  for (let attempt = 0; ;) {
    const bucket = sameBucketNow(environment, request.bucket);
    if (bucket === undefined) return redefined(request);
    const asIs = bucket === request.bucket && !whole;
    const round = new ReadRound(environment, asIs ? request : { ...request, bucket, whole });
    const ending = await round.run();
    if (ending.kind === 'reached') {
      const isNewTo = round.isNewTo();
      if (isNewTo === 'all') return nothingKnown(round);
      if (isNewTo === 'none' && (!round.hasOutlines() || (await completed(environment, round))))
        return joined(environment, round);
      whole = true;
      continue;
    }
    if (ending.kind === 'stale' && attempt++ < environment.settings.staleRetries) {
      await environment.knowledge.catchUp(ending.epoch, request.deadline);
      continue;
    }
    // A second look, for what was on its way from one to another at the first.
    if (ending.kind === 'unmet' && before !== undefined && round.givenUp()) {
      if (!round.hasOutlines() || (await completed(environment, round))) return joined(environment, round);
      whole = true;
    }
    if (!round.met() && round.enough()) before = round;
    if (ending.kind === 'unmet' && (await mayWait(environment, request.deadline))) continue;
    // The last round may have had too little time to come to anything.
    if (before !== undefined) return unmet(before);
    return tooFew(environment, request, round, ending.kind === 'deadline');
  }
}

/** Lets some time pass for others to learn what the session has seen; false when there is none left. */
async function mayWait({ world: { clock }, settings }: Environment, deadline: number): Promise<boolean> {
  const left = deadline - clock.monotonic();
  if (left <= 0) return false;
  await new Promise<void>((resolve) => {
    clock.after(Math.min(settings.sessionPollDelay, left), resolve);
  });
  return clock.monotonic() < deadline;
}

function unmet(round: ReadRound): Gathered {
  const detail = 'no replica that can be asked knows what this session has seen of the key';
  return {
    kind: 'failed',
    trouble: 'session-not-met',
    detail,
    agreement: round.agreement(),
    retries: retriesIn(round.answers),
  };
}

function tooFew(environment: Environment, { zone }: RoundRequest, round: ReadRound, late: boolean): Gathered {
  const where = zone === undefined ? '' : ` in zone ${zone}`;
  const failures = round.failures();
  const reasons = failures.length === 0 ? '' : ` (${failures.join(', ')})`;
  const trouble = late ? 'quorum-timeout' : round.turnedAway() ? 'overloaded' : 'quorum-unavailable';
  const partial = retriesIn(round.answers).length > 0 ? joined(environment, round) : undefined;
  return {
    kind: 'failed',
    trouble,
    detail: `${late ? 'not enough replicas answered in time' : `too few replicas${where} can be reached`}${reasons}`,
    agreement: round.agreement(),
    retries: retriesIn(round.answers),
    ...(partial?.kind === 'gathered' ? { state: partial.state } : {}),
  };
}

/** For who only asks whether the request was made before: what else there is nobody has looked at. */
function nothingKnown(round: ReadRound): Gathered {
  return { kind: 'gathered', state: EMPTY_STATE, agreement: round.agreement(), retries: [], retriesFull: false };
}

/** Whether the values are there now that no owner had sent. */
async function completed(environment: Environment, round: ReadRound): Promise<boolean> {
  try {
    return await round.complete();
  } catch (error) {
    if (!(error instanceof CorruptState)) throw error;
    tellDamage(environment, round, error);
    return false;
  }
}

function tellDamage(environment: Environment, round: ReadRound, { message }: CorruptState): void {
  environment.world.log.error('answer-damaged', { reason: message, from: round.answers.map(({ from }) => from) });
}

/** A state that came over damaged, which its sender had verified, is no answer; which one it was the log says. */
function joined(environment: Environment, round: ReadRound): Gathered {
  const agreement = round.agreement();
  const retries = retriesIn(round.answers);
  try {
    return { kind: 'gathered', state: round.merged(), agreement, retries, retriesFull: isFullAnywhere(round.answers) };
  } catch (error) {
    if (!(error instanceof CorruptState)) throw error;
    tellDamage(environment, round, error);
    const detail = `a replica's answer was damaged on its way: ${error.message}`;
    return { kind: 'failed', trouble: 'quorum-unavailable', detail, agreement, retries };
  }
}

function redefined({ r, pr }: RoundRequest): Gathered {
  const agreement = { acked: 0, needed: Math.max(r, pr), of: 0, fallbacks: 0 };
  return { kind: 'failed', trouble: 'quorum-unavailable', detail: REDEFINED, agreement, retries: [] };
}

/** What a reader may see: no deletion markers, nothing that has expired. */
export function liveVersions(state: State, now: number): readonly Version[] {
  return state.versions.filter((version) => isLive(version, now));
}

/** A version that a reader may see: not a deletion marker, not expired. */
export function isLive(version: Version, now: number): boolean {
  return version.content !== null && (version.expiresAt === 0 || version.expiresAt > now);
}
