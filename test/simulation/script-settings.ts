/** What several scripts go by: times, and how much agreement they ask for. */

import { levelsFor, strictAll, strictQuorum } from './levels.ts';
import { NODES } from './stage.ts';

export const MARK_MS = 700;
/** After so long a node knows that it is cut off. */
export const UNREACHABLE_MS = 4500;
export const FACTS = { owners: NODES, mode: 'lww' } as const;
export const STRICT = strictQuorum(FACTS);
export const ALL = strictAll(FACTS);
export const ONE = levelsFor(FACTS).find(({ query }) => query === 'consistency=one')!;
/** Requests by which a replica gets what it lacks; not the question for the time, without which a lost disk serves nobody. */
export const CARRY_STATES = /^(replica\.store|handoff\.|repair\.(?!time))/;
