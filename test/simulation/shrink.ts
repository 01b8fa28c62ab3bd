/**
 * Makes a failing run smaller for whoever has to understand it: leaves out fault kinds, then nodes, then operations, as
 * long as the same check still fails.
 */

import type { Check, Finding } from './arena.ts';
import type { FaultKind } from './faults.ts';
import { planOf } from './plan.ts';
import type { SeedTask } from './tasks.ts';

const NODES_LEAST = 2;

export async function shrink(
  task: SeedTask,
  check: Check,
  run: (task: SeedTask) => Promise<readonly Finding[]>,
): Promise<SeedTask> {
  let smallest: SeedTask = { ...task, twice: false, traceWidth: 0 };
  const tryOut = async (changes: SeedTask['changes']): Promise<boolean> => {
    const smaller = { ...smallest, changes: { ...smallest.changes, ...changes } };
    const findings = await run(smaller);
    if (!findings.some((finding) => finding.check === check)) return false;
    smallest = smaller;
    return true;
  };
  for (const { kind } of planOf(task.seed, task.changes).faults) {
    const without: readonly FaultKind[] = [...(smallest.changes.without ?? []), kind];
    await tryOut({ without });
  }
  for (let nodes = planOf(task.seed, smallest.changes).nodes - 1; nodes >= NODES_LEAST; nodes--) {
    if (!(await tryOut({ nodes }))) break;
  }
  let operations = planOf(task.seed, smallest.changes).operationsMax;
  for (let step = operations / 2; step >= 10 && operations > 1; step /= 2) {
    const fewer = Math.max(1, Math.ceil(operations - step));
    if (await tryOut({ operationsMax: fewer })) operations = fewer;
  }
  return smallest;
}
