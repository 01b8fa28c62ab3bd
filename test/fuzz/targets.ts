/** Every door that is fuzzed. */

import { HTTP_TARGETS } from './http-targets.ts';
import type { Target } from './target.ts';

export const TARGETS: readonly Target[] = [...HTTP_TARGETS];
