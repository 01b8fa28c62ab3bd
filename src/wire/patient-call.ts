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
/** The nth pause is at most `FIRST_PAUSE_MS`·2^(n-1). */
const FIRST_PAUSE_MS = 20;

/** The refusal of whoever has too much to do and has begun nothing. */
const OVERLOADED = 'overloaded';

export async function callPatiently<Request, Reply>(
  {
    messaging,
    world,
  }: { readonly messaging: Pick<Messaging, 'call'>; readonly world: Pick<World, 'clock' | 'random'> },
  to: NodeId,
  type: MessageType<Request, Reply>,
  request: Request,
  options: CallOptions,
): Promise<CallResult<Reply>> {
  for (let retry = 0; ; retry++) {
    const result = await messaging.call(to, type, request, options);
    if (!wasTooMuch(result) || retry >= RETRIES_MAX) return result;
    const pause = drawn(world.random, FIRST_PAUSE_MS * 2 ** retry);
    if (world.clock.monotonic() + pause >= options.deadline) return result;
    await slept(world.clock, pause);
  }
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
