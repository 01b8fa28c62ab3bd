import { expect, test } from 'vitest';
import { RegisterUpkeep, type UpkeepOptions } from '#coordinator/register-upkeep.ts';
import { utf8 } from '#kernel/bytes.ts';
import { recordKey } from '#replica/tables.ts';
import { Refusal } from '#wire/message.ts';
import { SimulatedMetrics } from '#world/simulated/metrics.ts';

const PAGE_ROWS = 16;
const ROW_BYTES = 1024 * 1024;
const FOR_EVER = 1e9;

interface Waiting {
  readonly at: number;
  readonly callback: () => void;
}

/** A node with so many full pages of large rows, of which only the reading matters here. */
function upkeepOf(pages: number, ready: () => boolean = () => true) {
  let now = 0;
  let timers: Waiting[] = [];
  const reads: number[] = [];
  const page = Array.from({ length: PAGE_ROWS }, (_, i) => [
    recordKey('s', 0, utf8(`k${i}`)),
    new Uint8Array(ROW_BYTES),
  ]);
  let next = 0;
  const range = (): unknown => {
    reads.push(now);
    return next++ % (pages + 1) < pages ? page : [];
  };
  const clock = {
    wall: () => now,
    monotonic: () => now,
    after: (delay: number, callback: () => void) => {
      const timer = { at: now + delay, callback };
      timers.push(timer);
      return { cancel: () => (timers = timers.filter((one) => one !== timer)) };
    },
  };
  const silent = { debug: () => undefined };
  const knowledge = { epoch: () => 1, ring: () => ({}), bucket: () => ({ incarnation: 1 }) };
  const valueIn = (): never => {
    throw new Refusal('corrupt-row', 'not looked at here');
  };
  const upkeep = new RegisterUpkeep({
    environment: {
      world: { clock, disk: { range }, metrics: new SimulatedMetrics(), log: silent },
      knowledge,
      ready,
    },
    rows: { valueIn },
    settings: { scrubPeriod: FOR_EVER, reclaimInterval: FOR_EVER, reclaimAge: FOR_EVER },
  } as unknown as UpkeepOptions);
  const pass = async (until: number): Promise<void> => {
    for (;;) {
      const [first] = timers.toSorted((a, b) => a.at - b.at);
      if (first === undefined || first.at > until) break;
      timers = timers.filter((one) => one !== first);
      now = first.at;
      first.callback();
      await new Promise((resolve) => setImmediate(resolve));
    }
    now = until;
  };
  return { upkeep, reads, pass };
}

test('the first pass reads 4 MiB a second at most, a later one rests before it begins when somebody was away', async () => {
  const { upkeep, reads, pass } = upkeepOf(2);
  upkeep.start();
  await pass(100_000);
  expect(reads).toEqual([250, 4346, 8442]);
  upkeep.someoneIsAway();
  await pass(120_000);
  // The pass after that one compares what was missed while it was under way.
  expect(reads.slice(3)).toEqual([110_000, 114_096, 118_192]);
  await pass(200_000);
  expect(reads.slice(6)).toEqual([128_192, 132_288, 136_384]);
  upkeep.stop();
});

test('nothing is read while the node does not serve, and the pass goes on where it was', async () => {
  let isReady = false;
  const { upkeep, reads, pass } = upkeepOf(3, () => isReady);
  upkeep.start();
  await pass(10_000);
  expect(reads).toEqual([]);
  isReady = true;
  await pass(11_000);
  expect(reads).toEqual([10_250]);
  isReady = false;
  await pass(60_000);
  expect(reads).toHaveLength(1);
  isReady = true;
  await pass(100_000);
  expect(reads).toHaveLength(4);
  upkeep.stop();
});
