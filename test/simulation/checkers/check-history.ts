/** The one door to all checks: judges a recorded run. */

import type { History, WhiteBox } from '../history.ts';
import { checkBoundedResources } from './bounded-resources.ts';
import { checkConcurrentSiblings } from './concurrent-siblings.ts';
import { checkConvergence } from './convergence.ts';
import { checkDurableCoverage } from './durable-coverage.ts';
import { checkEndsByDeadline } from './ends-by-deadline.ts';
import { keyHistories } from './gather.ts';
import { checkIdempotentRetries } from './idempotent-retries.ts';
import type { KeyHistories } from './key-history.ts';
import { checkLastWriteWins } from './last-write-wins.ts';
import { checkLinearizable } from './linearizable.ts';
import { checkNoLostUpdate } from './no-lost-update.ts';
import { checkNoResurrection } from './no-resurrection.ts';
import { checkNotAppliedInvisible } from './not-applied-invisible.ts';
import { checkOnlyWrittenValues } from './only-written-values.ts';
import { checkSessionGuarantees } from './session-guarantees.ts';
import { checkStrictReads } from './strict-reads.ts';
import { checkUniqueDots } from './unique-dots.ts';
import { CHECK_NAMES } from './violation.ts';
import type { CheckName, Violation } from './violation.ts';

export interface CheckOptions {
  /** Which checks are on; all of them unless said. */
  readonly checks?: readonly CheckName[];
  /** Virtual milliseconds that an answer may come after its deadline. */
  readonly deadlineSlack?: number;
  /** How many steps the search for a linear order may take, for each key. */
  readonly linearizabilitySteps?: number;
}

export interface Judgement {
  /** In the order of {@link CHECK_NAMES}, those of one check in order of their keys' first requests. */
  readonly violations: readonly Violation[];
  /** What could not be decided within its budget: neither right nor wrong. */
  readonly undecided: readonly { readonly check: CheckName; readonly key: string }[];
}

const DEADLINE_SLACK = 50;
const LINEARIZABILITY_STEPS = 1_000_000;

/** The same history gives the same judgement. Throws AssertionError for a history that contradicts itself. */
export function checkHistory(history: History, whiteBox: WhiteBox, options: CheckOptions = {}): Judgement {
  const on = new Set(options.checks ?? CHECK_NAMES);
  const histories = keyHistories(history, whiteBox);
  const undecided: { check: CheckName; key: string }[] = [];
  const checks = {
    ...checksOf(histories, history, whiteBox),
    'ends-by-deadline': () => checkEndsByDeadline(history, options.deadlineSlack ?? DEADLINE_SLACK),
    linearizable: () => {
      const result = checkLinearizable(histories, options.linearizabilitySteps ?? LINEARIZABILITY_STEPS);
      undecided.push(...result.undecided.map((key) => ({ check: 'linearizable' as const, key })));
      return result.violations;
    },
  } satisfies Record<CheckName, () => readonly Violation[]>;
  const violations = CHECK_NAMES.flatMap((name) => (on.has(name) ? checks[name]() : []));
  return { violations, undecided };
}

function checksOf(histories: KeyHistories, history: History, whiteBox: WhiteBox) {
  return {
    'only-written-values': () => checkOnlyWrittenValues(histories, whiteBox),
    'not-applied-invisible': () => checkNotAppliedInvisible(histories, whiteBox),
    'unique-dots': () => checkUniqueDots(histories),
    'idempotent-retries': () => checkIdempotentRetries(histories, whiteBox),
    'concurrent-siblings': () => checkConcurrentSiblings(histories, whiteBox),
    'last-write-wins': () => checkLastWriteWins(histories, whiteBox),
    'no-resurrection': () => checkNoResurrection(histories, history, whiteBox),
    'strict-reads': () => checkStrictReads(histories, history),
    'session-guarantees': () => checkSessionGuarantees(histories),
    'durable-coverage': () => checkDurableCoverage(histories, whiteBox),
    'no-lost-update': () => checkNoLostUpdate(histories, whiteBox),
    convergence: () => checkConvergence(whiteBox),
    'bounded-resources': () => checkBoundedResources(history),
  };
}
