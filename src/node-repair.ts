/**
 * Repair, put together for a node.
 */

import { finishRefill, type Self } from '#consensus/introduce-self.ts';
import type { EpochChain } from '#consensus/epoch-chain.ts';
import { RingRepair } from '#operator/ring-repair.ts';
import { Repair, type RepairOptions } from '#repair/repair.ts';

export type NodeRepairOptions = Omit<RepairOptions, 'activate' | 'self'> & {
  readonly chain: EpochChain;
  readonly self: Pick<Self, 'id' | 'storageId'>;
  /** Fills the registers of strong keys; false while they are not. */
  readonly fillRegisters: () => Promise<boolean>;
};

export function createRepair(options: NodeRepairOptions): { readonly repair: Repair; readonly ringRepair: RingRepair } {
  const { chain, self, world, settings } = options;
  const activate = async (): Promise<boolean> => {
    if (!(await options.fillRegisters())) return false;
    const deadline = world.clock.monotonic() + settings.callTimeout;
    return (await chain.propose((facts) => finishRefill(facts, self), deadline)).kind === 'decided';
  };
  const repair = new Repair({ ...options, self: self.id, activate });
  const ringRepair = new RingRepair({
    ...options,
    ...settings,
    self: self.id,
    slices: repair.slices,
    reclaim: repair.reclaim,
  });
  return { repair, ringRepair };
}
