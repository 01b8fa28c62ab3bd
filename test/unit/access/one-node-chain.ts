import type { Chain } from '#access/directory.ts';
import type { Facts } from '#consensus/facts.ts';
import type { NodeId } from '#kernel/identity.ts';
import { exampleFacts } from '../consensus/examples.ts';

/** A chain that decides at once, unless told otherwise. */
export class OneNodeChain implements Chain {
  current: Facts | undefined = exampleFacts(3);
  readonly installs: number[] = [];
  missing: NodeId[] = [];
  reachable = true;
  failure: 'not-applied' | 'unknown' | undefined;

  facts(): Facts | undefined {
    return this.current;
  }

  propose: Chain['propose'] = async (change) => {
    if (this.failure !== undefined)
      return { kind: 'failed', outcome: this.failure, detail: 'no majority', votes: { needed: 2, got: 1 } };
    const next = change(this.current!);
    if ('refused' in next) return { kind: 'refused', reason: next.refused };
    this.current = next;
    return { kind: 'decided', facts: next };
  };

  awaitInstalled: Chain['awaitInstalled'] = async (wanted) => {
    this.installs.push(wanted);
    return this.missing;
  };

  reaches: Chain['reaches'] = () => this.reachable;
}
