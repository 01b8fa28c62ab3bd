/**
 * What a node's process hears from outside, and what it tells the process that started it.
 *
 * SIGTERM and SIGINT ask for a stop, a second one (not within half a second of the first) for one at once. SIGHUP has the
 * certificates read again. A node that has none stops if it was started at a terminal, which is gone then; as a service it goes on, for
 * there a reload is meant. SIGUSR1 and SIGUSR2, which others rotate their logs by, do nothing: left to the runtime, the first opens a
 * debugger's port to everybody on the machine, and the second ends the process. A node that was started as a child stops when its
 * parent is gone.
 */

import { isatty } from 'node:tty';
import type { QuoralNode } from '#node.ts';
import type { Log } from '#world/world.ts';
import { reloadCertificates, type DoorCertificates } from './door-certificates.ts';
import { HELD, type EarlySignals, type HeldSignal } from './early-signals.ts';
import { fail } from './output.ts';

/** How often a node that starts is asked whether it is ready. */
const READY_POLL_MS = 25;

/**
 * Signals that come so soon after the first one are taken for the same act: Ctrl-C reaches a whole group of processes, and
 * those that started this one hand it on as well.
 */
export const SAME_ACT_MS = 500;

/** Looked at before the terminal is gone. */
const AT_TERMINAL = [0, 1, 2].some(isatty);

/** To the process that started this one, over its channel. */
export type ChildMessage =
  /** The doors are open. */
  | { readonly event: 'serving'; readonly url: string }
  /** Data requests are served. */
  | { readonly event: 'ready' };

export class StopRequest {
  /** Resolves with what asked for the stop. */
  readonly requested: Promise<string>;
  #reason: string | undefined;
  #askedAt = 0;
  #resolve: (reason: string) => void = () => undefined;

  constructor(certificates: DoorCertificates, log: Pick<Log, 'warn'>, early: EarlySignals) {
    this.requested = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => this.#signalled(signal));
    const ignored = (signal: string, reason: string): void => log.warn('signal-ignored', { signal, reason });
    const heard = (signal: HeldSignal): void => {
      if (signal !== 'SIGHUP') ignored(signal, 'it means nothing to a node');
      else if (certificates.client !== undefined || certificates.peer !== undefined)
        void reloadCertificates(certificates);
      else if (AT_TERMINAL) this.#signalled(signal);
      else ignored(signal, 'this node has no certificates to read again');
    };
    for (const signal of HELD) process.on(signal, () => heard(signal));
    for (const signal of early.end()) heard(signal);
    const parentIsGone = (): void => this.#ask('the parent process is gone');
    process.on('disconnect', parentIsGone);
    // It may have gone while this program was loaded, when nobody listened.
    if (process.channel === null) parentIsGone();
    // The timers of the protocol do not keep a process alive; this does, until it exits.
    setInterval(() => undefined, 2 ** 30);
  }

  /** True as soon as a stop is under way. */
  get isAsked(): boolean {
    return this.#reason !== undefined;
  }

  #signalled(signal: string): void {
    if (this.#reason === undefined) return this.#ask(signal);
    if (performance.now() - this.#askedAt < SAME_ACT_MS) return;
    fail(`${signal} during the stop that ${this.#reason} asked for: ending at once, requests under way are cut`);
    process.exit(1);
  }

  #ask(reason: string): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#askedAt = performance.now();
    this.#resolve(reason);
  }
}

/** Tells the parent process, if there is one, that the doors are open, and later that data are served. */
export function announceStart(url: string, node: QuoralNode): void {
  const tell = (message: ChildMessage): void => {
    if (process.connected) process.send?.(message);
  };
  if (process.send === undefined) return;
  tell({ event: 'serving', url });
  const timer = setInterval(() => {
    if (!node.ready()) return;
    clearInterval(timer);
    tell({ event: 'ready' });
  }, READY_POLL_MS);
}
