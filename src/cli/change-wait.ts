/**
 * Waiting for the end of a ring change. It goes on by itself, so the one that waits may be told by any member: when the node that
 * was asked dies, the others are asked.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { TransfersView } from '#operator/ring-plans.ts';
import { askJson, type ClientOptions } from './client.ts';
import { percentOf, progressLine, progressText } from './change-progress.ts';
import { EXIT, UsageError } from './output.ts';

export const TRANSFERS = '/v1/ring/transfers';
const POLL_MS = 500;
/** How long nobody may answer before the waiting is given up. */
const PATIENCE_MS = 60_000;
/** How long one of them is waited for before the next is asked: its process may stand still. */
const ATTEMPT_MS = 5000;
/** Between two lines where nobody sees a bar. */
const LINE_MS = 10_000;
/** Of terminals that do not say how wide they are. */
const WIDTH = 80;

interface Times {
  /** Between two looks. */
  readonly poll: number;
  readonly patience: number;
  readonly attempt: number;
}

/** Until the change is over; its outcome. Throws {@link UsageError} when no member answers for a minute. */
export async function untilOver(
  options: ClientOptions,
  begun: TransfersView,
  times: Partial<Times> = {},
): Promise<{ readonly view: TransfersView; readonly outcome: 'done' | 'aborted' }> {
  const { poll, patience, attempt } = { poll: POLL_MS, patience: PATIENCE_MS, attempt: ATTEMPT_MS, ...times };
  const shown = new Shown(options.json === true);
  const members = new Members(options);
  await members.learn(attempt);
  let view = begun;
  let aborted = false;
  while (view.id === begun.id) {
    if (view.state === 'aborting') aborted = true;
    shown.progress(view);
    await sleep(poll);
    view = await members.ask(view.epoch, { poll, patience, attempt });
  }
  shown.end();
  const outcome = view.last?.id === begun.id ? view.last.outcome : aborted ? 'aborted' : 'done';
  return { view, outcome };
}

/** The node that was named, and the others that it knows, in turn. */
class Members {
  readonly #options: ClientOptions;
  #urls: string[];

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#urls = [options.url];
  }

  /** A node that does not say who they are may be gone by now, and the change is under way all the same. */
  async learn(patience: number): Promise<void> {
    const { url } = this.#options;
    try {
      const view = (await askJson(this.#options, '/v1/cluster', { patience })) as { members: { url: string }[] };
      this.#urls = [...new Set([url, ...view.members.map((member) => member.url)])];
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
    }
  }

  /** `least`: the epoch that was heard of. A member that is back from an outage may know only what was before the change. */
  async ask(least: number, { poll, patience, attempt }: Times): Promise<TransfersView> {
    const until = performance.now() + patience;
    for (let asked = 1; ; asked++) {
      try {
        const url = this.#urls[0]!;
        const view = (await askJson({ ...this.#options, url }, TRANSFERS, { patience: attempt })) as TransfersView;
        if (view.epoch >= least) return view;
        throw new UsageError(`${url} has not heard of epoch ${least}`);
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        // However long the first have taken, the others may know.
        if (asked >= this.#urls.length && performance.now() > until) {
          const told =
            'no member has answered for a while; the change goes on by itself (quoral ring transfers shows it)';
          throw new UsageError(`${told}: ${error.message}`, EXIT.unreachable);
        }
        this.#urls = [...this.#urls.slice(1), this.#urls[0]!];
        await sleep(poll);
      }
    }
  }
}

/** A bar that is written over on a terminal; elsewhere a line now and then; nothing for machines. */
class Shown {
  readonly #silent: boolean;
  #lastLine = -Infinity;
  #lastPercent = -1;

  constructor(silent: boolean) {
    this.#silent = silent;
  }

  progress(view: TransfersView): void {
    const now = performance.now();
    if (this.#silent) return;
    const { stderr } = process;
    if (stderr.isTTY) {
      stderr.write(`\r\u001b[K${progressLine(view, stderr.columns || WIDTH)}`);
      return;
    }
    const percent = percentOf(view);
    if (now - this.#lastLine < LINE_MS || percent === this.#lastPercent) return;
    [this.#lastLine, this.#lastPercent] = [now, percent];
    stderr.write(`${progressText(view)}\n`);
  }

  end(): void {
    if (!this.#silent && process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  }
}
