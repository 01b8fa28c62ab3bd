import { expect, test } from 'vitest';
import { nodeId } from '#kernel/identity.ts';
import { RingRepair, type RepairRun, type RingRepairOptions } from '#operator/ring-repair.ts';
import { ringOf } from '../ring/rings.ts';

/** Of a node whose partitions differ once, by a write that is under way. */
function repairAt(wall: number, others: object = {}): RingRepair {
  const ring = ringOf(['a', 'a'], 16);
  const { id: self } = ring.members[0]!;
  const place = { n: 3, partition: 0, differing: 1, pulled: 0, pushed: 0, refused: 0, recent: 1 };
  let compared = 0;
  const ended = { kind: 'reply', reply: { next: undefined, rows: 1, damaged: 0 } };
  const options = {
    world: {
      clock: { monotonic: () => 0, wall: () => wall, after: (_: number, done: () => void) => setImmediate(done) },
      log: { info: () => undefined },
    },
    messaging: { call: async () => Promise.resolve(ended) },
    knowledge: { ring: () => ring },
    slices: {
      look: async () => Promise.resolve(ended.reply),
      compare: async () => Promise.resolve({ next: -1, shared: 16, places: compared++ === 0 ? [place] : [] }),
    },
    ...{ self: nodeId(self), callTimeout: 1, settle: 1, ...others },
  } as unknown as RingRepairOptions;
  return new RingRepair(options);
}

async function over(run: RepairRun): Promise<void> {
  while (run.state === 'running') await new Promise((resolve) => void setImmediate(resolve));
}

test('partitions are counted once a pair, although those with writes under way are compared again', async () => {
  const run = repairAt(0).begin(undefined)!;
  await over(run);
  expect(run).toMatchObject({ compared: 16, keys: 1, underWay: 0, failures: [] });
});

test('no run has the id of another, also one of before the node was started again', async () => {
  const before = repairAt(1000);
  const first = before.begin(undefined)!;
  await over(first);
  const second = before.begin(undefined)!;
  const third = repairAt(5000).begin(undefined)!;
  expect(new Set([first.id, second.id, third.id]).size).toBe(3);
});

test('who says what could not be done is told apart from whom it could not be done with', async () => {
  const ring = ringOf(['a', 'a', 'a'], 16);
  const [self, ...others] = ring.members.map(({ id }) => nodeId(id));
  const call = async (_: unknown, { name }: { readonly name: string }, { peer }: { readonly peer: string }) =>
    Promise.resolve(
      name === 'repair.compare-slice'
        ? { kind: 'refused', code: 'not-compared', detail: `${peer}: unreachable` }
        : { kind: 'reply', reply: { next: undefined, rows: 1, damaged: 0 } },
    );
  const run = repairAt(0, { self, knowledge: { ring: () => ring }, messaging: { call } }).begin(undefined)!;
  await over(run);
  expect(run.failures).toEqual([`${others.join(' with ')}: ${others[0]} says: ${others[1]}: unreachable`]);
});
