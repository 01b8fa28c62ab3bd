/** Every door that is fuzzed. */

import { HTTP_TARGETS } from './http-targets.ts';
import { NODE_TARGETS } from './node-targets.ts';
import { PEER_TARGETS } from './peer-targets.ts';
import type { Target } from './target.ts';

export const TARGETS: readonly Target[] = [...HTTP_TARGETS, ...NODE_TARGETS, ...PEER_TARGETS];
