/**
 * The workload that finds lost updates: a key holds a set, and each client reads it, makes the union of all siblings, adds
 * an element, and writes that back with the context it was given. However stale its read was, no added element may be
 * missing in the end, and no element may be there that nobody tried to add.
 */

import { assert } from '#kernel/assert.ts';
import type { WhiteBox, WriteId } from '../history.ts';
import { keyName } from './key-history.ts';
import type { KeyHistories, KeyHistory, Write } from './key-history.ts';
import type { Violation } from './violation.ts';

/** Looks at keys with writes that tell their elements. Throws AssertionError when the clients did not do as said above. */
export function checkNoLostUpdate(histories: KeyHistories, whiteBox: WhiteBox): readonly Violation[] {
  const violations: Violation[] = [];
  for (const history of histories.values()) {
    const writes = [...history.writes.values()];
    if (history.mode !== 'siblings' || !writes.some((write) => elementsOf(write) !== undefined)) continue;
    for (const write of writes) assertUnion(history, write);
    for (const { shown, end, request } of history.reads) {
      violations.push(...invented(history, shown, end, `a read by ${request.client}`));
    }
    violations.push(...atTheEnd(history, whiteBox));
  }
  return violations;
}

function atTheEnd(history: KeyHistory, whiteBox: WhiteBox): readonly Violation[] {
  const violations: Violation[] = [];
  for (const { node, bucket, key, versions } of whiteBox.final?.replicas ?? []) {
    if (keyName(bucket, key) !== history.name) continue;
    const live = versions.flatMap(({ write }) => write ?? []);
    const elements = unionOf(history, live);
    for (const { id, outcome } of history.writes.values()) {
      if (outcome === 'applied' && !elements.has(id)) {
        violations.push(
          violation(history, `at ${node}: ${id} was added and acknowledged, and is in no sibling`, [id, ...live]),
        );
      }
    }
    violations.push(...invented(history, live, Infinity, `the state at ${node}`));
  }
  return violations;
}

function invented(
  history: KeyHistory,
  values: readonly WriteId[],
  before: number,
  where: string,
): readonly Violation[] {
  return [...unionOf(history, values)].flatMap((element) => {
    const write = history.writes.get(element);
    if (write !== undefined && write.start < before && write.outcome !== 'not-applied') return [];
    return [
      violation(history, `${where} holds the element ${element}, which nobody can have added`, [element, ...values]),
    ];
  });
}

function unionOf(history: KeyHistory, values: readonly WriteId[]): ReadonlySet<WriteId> {
  return new Set(values.flatMap((id) => elementsOf(history.writes.get(id)) ?? []));
}

function elementsOf(write: Write | undefined): readonly WriteId[] | undefined {
  return write?.requests[0]?.elements ?? undefined;
}

function assertUnion(history: KeyHistory, write: Write): void {
  const elements = new Set(elementsOf(write));
  assert(
    write.kind === 'put' && elements.has(write.id),
    `write ${write.id} to the set ${history.name} adds no element`,
  );
  for (const element of unionOf(history, write.replaces)) {
    assert(elements.has(element), `the client of ${write.id} dropped the element ${element} that it was shown`);
  }
}

function violation(history: KeyHistory, detail: string, writes: readonly string[]): Violation {
  return { check: 'no-lost-update', key: history.name, detail, writes: [...new Set(writes)] };
}
