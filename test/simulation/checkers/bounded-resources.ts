/** Queues, caches and whatever else was sampled stayed within their bounds. Each broken bound is told once a node. */

import type { History } from '../history.ts';
import type { Violation } from './violation.ts';

export function checkBoundedResources({ gauges }: History): readonly Violation[] {
  const told = new Set<string>();
  return gauges.flatMap(({ node, name, value, bound, time }): readonly Violation[] => {
    if (value >= 0 && value <= bound) return [];
    const what = `${node} ${name}`;
    if (told.has(what)) return [];
    told.add(what);
    const detail = `${name} was ${value} at time ${time}, its bound is ${bound}`;
    return [{ check: 'bounded-resources', key: node, detail, writes: [] }];
  });
}
