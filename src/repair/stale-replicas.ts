/**
 * Which of the replicas that answered a read are behind what they know together. Pure: read-repair acts on it.
 */

import { includes } from '#causality/join.ts';
import type { Outline } from '#causality/outline.ts';
import type { State } from '#causality/state.ts';
import type { NodeId } from '#kernel/identity.ts';

export interface ReadAnswer {
  readonly from: NodeId;
  readonly state: Outline;
}

export function staleReplicas(merged: State, answers: readonly ReadAnswer[]): readonly NodeId[] {
  return answers.filter(({ state }) => !includes(state, merged)).map(({ from }) => from);
}
