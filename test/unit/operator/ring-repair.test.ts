import { expect, test } from 'vitest';
import { nodeId } from '#kernel/identity.ts';
import { RingRepair, type RingRepairOptions } from '#operator/ring-repair.ts';
import { ringOf } from '../ring/rings.ts';

test('partitions are counted once a pair, although those with writes under way are compared again', async () => {
  const ring = ringOf(['a', 'a'], 16);
  const { id: self } = ring.members[0]!;
  const place = { n: 3, partition: 0, differing: 1, pulled: 0, pushed: 0, refused: 0, recent: 1 };
  let compared = 0;
  const ended = { kind: 'reply', reply: { next: undefined, rows: 1, damaged: 0 } };
  const options = {
    world: {
      clock: { monotonic: () => 0, after: (_: number, done: () => void) => setImmediate(done) },
      log: { info: () => undefined },
    },
    messaging: { call: async () => Promise.resolve(ended) },
    knowledge: { ring: () => ring },
    slices: {
      look: async () => Promise.resolve(ended.reply),
      compare: async () => Promise.resolve({ next: -1, shared: 16, places: compared++ === 0 ? [place] : [] }),
    },
    ...{ self: nodeId(self), callTimeout: 1, settle: 1 },
  } as unknown as RingRepairOptions;
  const repair = new RingRepair(options);
  const run = repair.begin(undefined)!;
  while (run.state === 'running') await new Promise((resolve) => void setImmediate(resolve));
  expect(run).toMatchObject({ compared: 16, keys: 1, underWay: 0, failures: [] });
});
