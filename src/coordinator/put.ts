/**
 * The story of a PUT or DELETE where it is minted: look at what is there if the request wants that, let a round give the
 * write to whoever shall have it, say what came of it. Usually that is an owner of the key; when none can be reached, a
 * fallback does it in their place.
 */

import { beforeWrite, withoutLooking } from './before-write.ts';
import { requestNow, type Environment } from './environment.ts';
import type { WriteOutcome, WriteRequest } from './requests.ts';
import { redefined } from './write-outcome.ts';
import { WriteRound } from './write-round.ts';

/** Writes at this node, which owns the key or stands in for its owners. */
export async function writeHere(environment: Environment, asked: WriteRequest): Promise<WriteOutcome> {
  for (let attempt = 0; ; attempt++) {
    const request = requestNow(environment, asked);
    if (request === undefined) return redefined(asked);
    const before = withoutLooking(request) ?? (await beforeWrite(environment, request));
    if (before.kind === 'over') return before.outcome;
    const round = new WriteRound(environment, request, before);
    const ending = await round.run();
    if (attempt < environment.settings.staleRetries && (await round.mayTryAgain(ending))) continue;
    return round.outcome(ending);
  }
}
