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
/** Between two lines, at least, where nobody sees a bar. */
const LINE_MS = 10_000;
/** Of terminals that do not say how wide they are. */
const WIDTH = 80;

interface Times {
  /** Between two looks. */
  readonly poll: number;
  readonly patience: number;
  readonly attempt: number;
  readonly line: number;
}

/** Unknown: while no member answered, another change has come and gone. */
export type Outcome = 'done' | 'aborted' | 'unknown';

const USUAL: Times = { poll: POLL_MS, patience: PATIENCE_MS, attempt: ATTEMPT_MS, line: LINE_MS };

/** Until the change is over; its outcome. Throws {@link UsageError} when no member answers for a minute. */
export async function untilOver(
  options: ClientOptions,
  begun: TransfersView,
  times: Partial<Times> = {},
): Promise<{ readonly view: TransfersView; readonly outcome: Outcome }> {
  const { line, ...pace } = { ...USUAL, ...times };
  const shown = new Shown(options.json === true, line);
  const members = new Members(options);
  await members.learn(pace.attempt);
  let view = begun;
  let aborted = false;
  while (view.id === begun.id) {
    if (view.state === 'aborting') aborted = true;
    shown.progress(view);
    await sleep(pace.poll);
    view = await members.ask(view.epoch, pace);
  }
  shown.end();
  return { view, outcome: aborted ? 'aborted' : outcomeOf(begun, view) };
}

/** Of the last change only it is remembered what came of it. */
function outcomeOf({ id }: TransfersView, { last }: TransfersView): Outcome {
  if (last === null) return 'done';
  return last.id === id ? last.outcome : 'unknown';
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
  async ask(least: number, { poll, patience, attempt }: Omit<Times, 'line'>): Promise<TransfersView> {
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

/** A bar that is written over on a terminal; elsewhere a line now and then, when there is something new; nothing for machines. */
class Shown {
  readonly #silent: boolean;
  readonly #pause: number;
  #lastLine = -Infinity;
  #lastNews = '';

  constructor(silent: boolean, pause: number) {
    this.#silent = silent;
    this.#pause = pause;
  }

  progress(view: TransfersView): void {
    const now = performance.now();
    if (this.#silent) return;
    const { stderr } = process;
    if (stderr.isTTY) {
      stderr.write(`\r\u001b[K${progressLine(view, stderr.columns || WIDTH)}`);
      return;
    }
    const news = newsIn(view);
    if (now - this.#lastLine < this.#pause || news === this.#lastNews) return;
    [this.#lastLine, this.#lastNews] = [now, news];
    stderr.write(`${progressText(view)}\n`);
  }

  end(): void {
    if (!this.#silent && process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  }
}

/** How far it is, that somebody holds it, and whom it waits for: else it would stand there without a word. */
function newsIn(view: TransfersView): string {
  // A node of an earlier version does not tell whom.
  const waiting = (view as Partial<TransfersView>).waiting ?? [];
  return JSON.stringify([percentOf(view), view.state, waiting.map(({ node, reason }) => [node, reason])]);
}
