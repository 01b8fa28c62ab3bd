import { describe, expect, it } from 'vitest';
import { ChainCluster } from './chain-cluster.ts';
import type { Scenario } from './chain-cluster.ts';

/** More seeds for a long hunt: QUORAL_CHAIN_SEEDS=5000 npx vitest run test/unit/consensus */
const SEEDS = Number(process.env['QUORAL_CHAIN_SEEDS'] ?? 15);

async function survive(scenario: Omit<Scenario, 'seed'>): Promise<void> {
  let epochs = 0;
  let decided = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const cluster = new ChainCluster({ ...scenario, seed });
    await cluster.run();
    expect(cluster.violations, `seed ${seed}`).toEqual([]);
    expect(cluster.universe.errors.filter((line) => line.includes('epoch-chain-failed'))).toEqual([]);
    epochs += cluster.epochsDecided;
    decided += cluster.operations.filter(({ result }) => result?.kind === 'decided').length;
  }
  // Faults so heavy that nothing happens would prove nothing.
  expect(epochs).toBeGreaterThan(SEEDS * 3);
  expect(decided).toBeGreaterThan(SEEDS * 3);
}

describe('the epoch chain under random faults', () => {
  it('decides each epoch once, loses no decision and goes on after healing', async () => {
    await survive({ faults: {}, wipes: false, voterChanges: false, duration: 1200 });
  });

  it('does so while nodes crash at every other step', async () => {
    await survive({ faults: { crashAtCommit: 0.15 }, wipes: false, voterChanges: false, duration: 1200 });
  });

  it('does so while the voters change', async () => {
    await survive({ faults: {}, wipes: false, voterChanges: true, duration: 1200 });
  });

  it('does so while disks are lost and come back empty', async () => {
    await survive({ faults: {}, wipes: true, voterChanges: false, duration: 1500 });
  });

  it('does so while all of that happens at once', async () => {
    await survive({ faults: { crashAtCommit: 0.05, loss: 0.15 }, wipes: true, voterChanges: true, duration: 1500 });
  });
});
