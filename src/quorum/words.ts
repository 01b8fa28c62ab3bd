/**
 * Consistency as people say it: numbers of replicas or words.
 */

/** A whole number, or a word that follows n' = min(n, members): one = 1, quorum = floor(n'/2)+1, all = n'. */
export type QuorumWord = number | (typeof QUORUM_WORDS)[number];

export const QUORUM_WORDS = ['one', 'quorum', 'all'] as const;
