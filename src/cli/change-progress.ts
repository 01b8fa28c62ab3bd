/** How far a ring change is, as one line. Pure; the caller knows the terminal. */

import { rateOf, timeOf } from './measures.ts';

export interface Progress {
  readonly state: 'idle' | 'running' | 'paused' | 'aborting';
  /** Replicas that move, and those that are where they belong. */
  readonly moves: number;
  readonly done: number;
  readonly bytesPerSecond: number | null;
  readonly secondsLeft: number | null;
  /** Newcomers that take nothing yet, and members that it waits for; a node of an earlier version does not tell of them. */
  readonly waiting?: readonly { readonly node: string; readonly milliseconds: number; readonly reason: string }[];
}

const BAR_WIDTH = 30;

export function percentOf({ moves, done }: Progress): number {
  return moves === 0 ? 0 : Math.floor((100 * Math.min(done, moves)) / moves);
}

/** For logs, and beside the bar. */
export function progressText(progress: Progress): string {
  const { state, moves, done, bytesPerSecond, secondsLeft, waiting = [] } = progress;
  const parts = [`${percentOf(progress)} %`, `${done} of ${moves} replicas`];
  if (state !== 'running') parts.push(state);
  if (bytesPerSecond !== null && bytesPerSecond > 0) parts.push(rateOf(bytesPerSecond));
  if (secondsLeft !== null) parts.push(secondsLeft === 0 ? 'nearly done' : `about ${timeOf(secondsLeft)} left`);
  return [...parts, ...waiting.map(waitText)].join(', ');
}

/** Which newcomer waits, for how long, and why; or which member it waits for. */
export function waitText({ node, milliseconds, reason }: NonNullable<Progress['waiting']>[number]): string {
  // Without a time it is a member that the change waits for.
  if (milliseconds === 0) return `${node} ${reason}`;
  return `${node} waits for about ${timeOf(Math.ceil(milliseconds / 1000))}: ${reason}`;
}

/** With a bar before it, as wide as the terminal allows. */
export function progressLine(progress: Progress, columns: number): string {
  const filled = Math.round((percentOf(progress) / 100) * BAR_WIDTH);
  const line = `[${'#'.repeat(filled).padEnd(BAR_WIDTH, '.')}] ${progressText(progress)}`;
  return line.slice(0, Math.max(1, columns - 1));
}
