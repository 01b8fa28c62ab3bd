/**
 * Repair, put together for a node.
 */

import { finishRefill, type Self } from '#consensus/introduce-self.ts';
import type { EpochChain } from '#consensus/epoch-chain.ts';
import type { RegisterRefill } from '#coordinator/register-refill.ts';
import type { RegisterUpkeep } from '#coordinator/register-upkeep.ts';
import { Away } from '#membership/away.ts';
import { factorsInUse, strongFactors } from '#operator/nothing-to-take.ts';
import { RingDriver } from '#operator/ring-driver.ts';
import { RingRepair } from '#operator/ring-repair.ts';
import { Repair, type RepairOptions } from '#repair/repair.ts';

export type NodeRepairOptions = Omit<
  RepairOptions,
  | 'activate'
  | 'self'
  | 'storageId'
  | 'awaitInstalled'
  | 'knownRing'
  | 'isStrong'
  | 'isInUse'
  | 'takeRegisters'
  | 'giveRegistersUp'
  | 'letRegistersGo'
  | 'readRegisters'
  | 'levelRegisters'
  | 'away'
> & {
  readonly chain: EpochChain;
  readonly self: Pick<Self, 'id' | 'storageId'>;
  /** Those of strong keys, as they go from one owner to another. */
  readonly registers: () => RegisterRefill;
  readonly registerUpkeep: () => RegisterUpkeep;
};

export interface NodeRepair {
  readonly repair: Repair;
  readonly ringRepair: RingRepair;
  readonly ringDriver: RingDriver;
  readonly away: Away;
}

export function createRepair(options: NodeRepairOptions): NodeRepair {
  const { chain, self, world, settings } = options;
  const activate = async (): Promise<boolean> => {
    if (!(await options.registers().fill())) return false;
    const deadline = world.clock.monotonic() + settings.callTimeout;
    return (await chain.propose((facts) => finishRefill(facts, self), deadline)).kind === 'decided';
  };
  const away = new Away({ messaging: options.messaging, clock: world.clock });
  away.note(chain.facts()?.ring.members ?? []);
  const repair = new Repair({
    ...options,
    away,
    self: self.id,
    storageId: self.storageId,
    activate,
    knownRing: () => chain.facts()?.ring,
    takeRegisters: (from) => options.registers().takeOver(from),
    giveRegistersUp: (rowKeys) => options.registers().giveUp(rowKeys),
    letRegistersGo: () => options.registers().letGo(),
    readRegisters: (from, bucket) => options.registerUpkeep().page(from, bucket),
    levelRegisters: (from, bucket) => options.registerUpkeep().level(from, bucket),
    isStrong: (n) => strongFactors(chain.facts()?.buckets ?? []).has(n),
    isInUse: (n) => factorsInUse(chain.facts()?.buckets ?? []).has(n),
    awaitInstalled: (wanted, deadline) => chain.awaitInstalled(wanted, deadline),
  });
  const ringRepair = new RingRepair({
    ...options,
    ...settings,
    self: self.id,
    slices: repair.slices,
    reclaim: repair.reclaim,
  });
  const ringDriver = new RingDriver({
    ...{ world, messaging: options.messaging, chain, moves: repair.moves, self: self.id, ready: options.ready },
    away,
    ...{
      interval: settings.driveInterval,
      leaverPatience: settings.leaverPatience,
      installTimeout: settings.moves.installTimeout,
      callTimeout: settings.callTimeout,
      takersAtOnce: settings.moves.atOnce,
    },
  });
  chain.onFacts(({ ring }) => {
    away.note(ring.members);
    repair.wake();
    ringDriver.wake();
  });
  return { repair, ringRepair, ringDriver, away };
}
