/**
 * A client's HTTP request to a simulated node: it travels, meets a machine that may be down, paused or dying, is answered
 * by the node's HTTP layer in the node's own process, and the answer travels back or does not.
 */

import type { InProcessAnswer } from '#api/in-process.ts';
import { digest } from '#world/digest.ts';
import type { SeededRandom } from '#world/simulated/random.ts';
import type { Simulation } from '#world/simulated/scheduler.ts';
import type { Machine } from './cluster.ts';

export interface HttpRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export type Reply =
  | { readonly kind: 'answered'; readonly answer: InProcessAnswer }
  /** `sent`: whether the request may have reached the node. */
  | { readonly kind: 'connection-lost'; readonly sent: boolean }
  | { readonly kind: 'gave-up' };

export interface ClientSide {
  readonly simulation: Simulation;
  /** Draws how long the ways to the nodes and back take. */
  readonly random: SeededRandom;
  /** Hears of what a node's HTTP layer threw, which it must not. */
  readonly crashed: (error: unknown) => void;
}

const LATENCY_MINIMUM = 0.1;
const LATENCY_MEAN = 0.3;
const encoder = new TextEncoder();

/** `patience`: virtual milliseconds after which the client turns away. */
export function exchange(
  { simulation, random, crashed }: ClientSide,
  machine: Machine,
  request: HttpRequest,
  patience: number,
): Promise<Reply> {
  const latency = (): number => LATENCY_MINIMUM + random.exponential(LATENCY_MEAN);
  return new Promise((resolve) => {
    const { running } = machine;
    const { process } = machine.host;
    const end = (reply: Reply): void => {
      timer.cancel();
      forget();
      resolve(reply);
    };
    const timer = simulation.schedule(patience, 'client turns away', () => end({ kind: 'gave-up' }));
    let forget = (): unknown => undefined;
    const later = (what: string, reply: Reply, detail = 0): void => {
      simulation.schedule(latency(), what, () => end(reply), detail);
    };
    if (running === undefined || process === undefined) {
      later('http refused', { kind: 'connection-lost', sent: false });
      return;
    }
    forget = process.onEnd(() => later('http broken', { kind: 'connection-lost', sent: true }));
    const body = request.body === undefined ? undefined : encoder.encode(request.body);
    process.schedule(latency(), 'http request', () => {
      running.api(request.method, request.target, request.headers, body).then((answer) => {
        if (process.alive) later('http answer', { kind: 'answered', answer }, digest.crc32(answer.body));
      }, crashed);
    });
  });
}
