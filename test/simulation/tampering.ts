/** Where a planted bug may lay hands on a cluster without the product knowing. */

import type { Disk } from '#world/world.ts';
import type { SimulatedDisk } from '#world/simulated/disk.ts';
import type { Machine } from './cluster.ts';
import type { Dot } from './history.ts';

export interface Tampering {
  /** Before a process takes the disk into possession: the medium may be edited. */
  readonly starting?: (machine: Machine) => void;
  /** Instead of the disk that a node would get. */
  readonly disk?: (disk: SimulatedDisk, machine: Machine) => Disk;
  /** The machine's node has given this dot to a write. */
  readonly minted?: (machine: Machine, dot: Dot) => void;
}
