/**
 * A key of a `strong` bucket behaves as one register on one machine. Each key is checked by itself, because linearizability
 * is a local property: a history is linearizable if those of its objects are (Herlihy and Wing 1990, theorem 1).
 */

import type { KeyHistories, KeyHistory, Write } from './key-history.ts';
import { linearize } from './linearizability.ts';
import type { Call } from './linearizability.ts';
import { REGISTER, withoutUnnoticed } from './register-model.ts';
import type { RegisterOperation } from './register-model.ts';
import type { Violation } from './violation.ts';

export interface LinearizabilityResult {
  readonly violations: readonly Violation[];
  /** Keys for which the steps did not suffice. */
  readonly undecided: readonly string[];
}

/** `stepsMax` bounds the search for each key. */
export function checkLinearizable(histories: KeyHistories, stepsMax: number): LinearizabilityResult {
  const violations: Violation[] = [];
  const undecided: string[] = [];
  for (const key of histories.values()) {
    if (key.mode !== 'strong') continue;
    const calls = withoutUnnoticed(callsOf(key));
    const verdict = linearize(REGISTER, calls, stepsMax);
    if (verdict.kind === 'unknown') undecided.push(key.name);
    if (verdict.kind !== 'violated') continue;
    const { operation, start } = calls[verdict.unexplained]!;
    const order = verdict.order.slice(-5).map((call) => show(calls[call]!.operation));
    const detail = `no order explains "${show(operation)}", begun at event ${start}; the longest that was found ends with: ${order.join(', ')}`;
    violations.push({ check: 'linearizable', key: key.name, detail, writes: writesIn(operation) });
  }
  return { violations, undecided };
}

function callsOf(key: KeyHistory): readonly Call<RegisterOperation>[] {
  const reads = key.reads.flatMap(({ shown, start, end }): readonly Call<RegisterOperation>[] => {
    // Siblings are impossible in such a bucket: no register answers so.
    const result = shown.length > 1 ? `[${shown.join()}]` : (shown[0] ?? null);
    return [{ operation: { kind: 'read', result }, start, end }];
  });
  return [...reads, ...[...key.writes.values()].flatMap((write) => callOf(write))];
}

function callOf(write: Write): readonly Call<RegisterOperation>[] {
  const { condition } = write.requests[0]!;
  const value = write.kind === 'put' ? write.id : null;
  if (condition.kind === 'none') {
    if (write.outcome === 'not-applied') return [];
    return [{ operation: { kind: 'write', value }, start: write.start, end: write.acknowledged }];
  }
  const expected = condition.kind === 'absent' ? null : condition.write;
  if (write.outcome === 'not-applied') return failedSwaps(write, expected, value);
  const swapped = write.outcome === 'applied' ? true : null;
  return [{ operation: { kind: 'cas', expected, value, swapped }, start: write.start, end: write.acknowledged }];
}

/** Each refusal tells that at some time during that very request the register held something else. */
function failedSwaps(write: Write, expected: string | null, value: string | null): readonly Call<RegisterOperation>[] {
  return write.requests.flatMap(({ preconditionFailed, start, end }): readonly Call<RegisterOperation>[] => {
    if (!preconditionFailed || end === null) return [];
    return [{ operation: { kind: 'cas', expected, value, swapped: false }, start: start.order, end: end.order }];
  });
}

function show(operation: RegisterOperation): string {
  switch (operation.kind) {
    case 'read':
      return `read ${operation.result ?? 'nothing'}`;
    case 'write':
      return operation.value === null ? 'delete' : `write ${operation.value}`;
    case 'cas': {
      const result = operation.swapped === null ? 'outcome unknown' : operation.swapped ? 'done' : 'refused';
      return `replace ${operation.expected ?? 'nothing'} by ${operation.value ?? 'nothing'}: ${result}`;
    }
  }
}

function writesIn(operation: RegisterOperation): readonly string[] {
  const ids = operation.kind === 'read' ? [operation.result] : [operation.value];
  return ids.filter((id) => id !== null);
}
