/**
 * Calling once more after a moment, when the only trouble was too much work at either end and the call was certainly not
 * executed. The pauses grow exponentially and are drawn from zero to their bound (M. Brooker, "Exponential Backoff And
 * Jitter", 2015), so that all who were turned away at once do not return at once. Nothing is tried beyond the deadline.
 */

import type { NodeId } from '#kernel/identity.ts';
import type { Clock, Random, World } from '#world/world.ts';
import type { MessageType } from './message.ts';
import type { CallOptions, CallResult, Messaging } from './messaging.ts';

/** Calls after the first. */
const RETRIES_MAX = 2;
/** When there is nobody else, as long as the peer takes no more and nothing has to be sent to find that out. */
const RETRIES_WITHOUT_ALTERNATIVE = 12;
/** The nth pause is at most `FIRST_PAUSE_MS`·2^(n-1). */
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 320;

/** The refusal of whoever has too much to do and has begun nothing. */
const OVERLOADED = 'overloaded';

export interface PatientOptions extends CallOptions {
  /** Asked when the peer has too much to do: whether the caller has somebody else to call instead. */
  readonly hasAlternative?: () => boolean;
}

interface Caller {
  readonly messaging: Pick<Messaging, 'call'>;
  readonly world: Pick<World, 'clock' | 'random'>;
}

export function callPatiently<Request, Reply>(
  caller: Caller,
  to: NodeId,
  type: MessageType<Request, Reply>,
  request: Request,
  options: PatientOptions,
): Promise<CallResult<Reply>> {
  const call = (): Promise<CallResult<Reply>> => caller.messaging.call(to, type, request, options);
  // Nearly every call is over with its first result, and costs one promise more than without patience.
  return call().then((result) => (wasTooMuch(result) ? callAgain(caller, call, result, options) : result));
}

async function callAgain<Reply>(
  { world }: Caller,
  call: () => Promise<CallResult<Reply>>,
  first: CallResult<Reply>,
  options: PatientOptions,
): Promise<CallResult<Reply>> {
  let result = first;
  for (let retry = 0; wasTooMuch(result) && retry < retriesAfter(result, options.hasAlternative?.()); retry++) {
    const pause = drawn(world.random, Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** retry));
    if (world.clock.monotonic() + pause >= options.deadline) return result;
    await slept(world.clock, pause);
    result = await call();
  }
  return result;
}

function retriesAfter({ kind }: CallResult<unknown>, hasAlternative: boolean | undefined): number {
  if (hasAlternative === true) return 0;
  return hasAlternative === false && kind === 'not-sent' ? RETRIES_WITHOUT_ALTERNATIVE : RETRIES_MAX;
}

function wasTooMuch(result: CallResult<unknown>): boolean {
  if (result.kind === 'not-sent') return result.reason === 'overloaded';
  return result.kind === 'refused' && result.code === OVERLOADED;
}

function drawn(random: Random, most: number): number {
  return (random.uint32() / 2 ** 32) * most;
}

function slept(clock: Clock, pause: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(pause, resolve);
  });
}
