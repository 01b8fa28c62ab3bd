/** When all is healed, the owners of a key hold the same, down to the vector, and no hint is left waiting. */

import type { ReplicaSnapshot, WhiteBox } from '../history.ts';
import { showDot } from './dots.ts';
import { keyName } from './key-history.ts';
import type { Violation } from './violation.ts';

export function checkConvergence(whiteBox: WhiteBox): readonly Violation[] {
  if (whiteBox.final === null) return [];
  const violations: Violation[] = [];
  const firstOf = new Map<string, ReplicaSnapshot>();
  for (const replica of whiteBox.final.replicas) {
    const key = keyName(replica.bucket, replica.key);
    const first = firstOf.get(key);
    if (first === undefined) {
      firstOf.set(key, replica);
    } else if (show(first) !== show(replica)) {
      const detail = `${first.node} holds ${show(first)}, ${replica.node} holds ${show(replica)}`;
      violations.push({ check: 'convergence', key, detail, writes: differingWrites(first, replica) });
    }
  }
  for (const { node, waiting } of whiteBox.final.hints) {
    if (waiting === 0) continue;
    violations.push({ check: 'convergence', key: node, detail: `${waiting} hints are still waiting`, writes: [] });
  }
  return violations;
}

/** The state in one spelling, whatever the order in which it was handed over. */
function show({ vector, versions }: ReplicaSnapshot): string {
  const dots = vector.map(showDot).toSorted();
  const live = versions.map(({ dot, write }) => `${showDot(dot)}=${write ?? 'deletion'}`).toSorted();
  return `[${dots.join(' ')}]{${live.join(' ')}}`;
}

function differingWrites(a: ReplicaSnapshot, b: ReplicaSnapshot): readonly string[] {
  const [inA, inB] = [a, b].map(({ versions }) => new Set(versions.flatMap(({ write }) => write ?? [])));
  return [...new Set([...inA!, ...inB!])].filter((id) => !inA!.has(id) || !inB!.has(id));
}
