/**
 * What a world traces when nobody has asked for it.
 */

import type { Trace } from './world.ts';

export const NO_TRACE: Trace = { on: false, begin: () => undefined };
