/**
 * The consistency levels that the clients ask for, as the query says it and as the contract counts it. Written down here
 * anew: the checkers must not believe the product's own arithmetic.
 */

import type { BucketFacts, ReadQuorum, WriteQuorum } from './history.ts';

export interface Level {
  readonly query: string;
  readonly read: ReadQuorum;
  readonly write: WriteQuorum;
}

interface Numbers {
  readonly r: number;
  readonly pr?: number;
  readonly w: number;
  readonly pw?: number;
  readonly dw: number;
}

function level(query: string, sloppy: boolean, { r, pr = 0, w, pw = 0, dw }: Numbers): Level {
  return { query, read: { r, pr, sloppy }, write: { r, pr, w, pw, dw, sloppy } };
}

/** Levels for the keys of a bucket with the default quorums. */
export function levelsFor({ owners, mode }: BucketFacts): readonly Level[] {
  const all = owners;
  const quorum = Math.floor(owners / 2) + 1;
  if (mode === 'strong') return [strictQuorum({ owners, mode })];
  return [
    level('', true, { r: quorum, w: quorum, dw: quorum }),
    level('consistency=one', true, { r: 1, w: 1, dw: 1 }),
    level('consistency=quorum', true, { r: quorum, w: quorum, dw: quorum }),
    strictQuorum({ owners, mode }),
    strictAll({ owners, mode }),
    level('sloppy=false', false, { r: quorum, w: quorum, dw: quorum }),
    level('r=1&w=1&dw=0', true, { r: 1, w: 1, dw: 0 }),
    level('r=all&w=1&dw=1&sloppy=false', false, { r: all, w: 1, dw: 1 }),
    level('r=one&w=all&dw=1&sloppy=false', false, { r: 1, w: all, dw: 1 }),
    level('r=quorum&w=quorum&dw=0&sloppy=false', false, { r: quorum, w: quorum, dw: 0 }),
  ];
}

/** A strong bucket takes no level: a majority of the owners is in everything. */
export function strictQuorum({ owners, mode }: BucketFacts): Level {
  const quorum = Math.floor(owners / 2) + 1;
  const query = mode === 'strong' ? '' : 'consistency=strict_quorum';
  return level(query, false, { r: quorum, pr: quorum, w: quorum, pw: quorum, dw: quorum });
}

/** As many owners, but fallbacks may take part beside them. */
export function sloppyWithOwners({ owners }: BucketFacts): Level {
  const quorum = Math.floor(owners / 2) + 1;
  const query = 'r=quorum&pr=quorum&w=quorum&pw=quorum';
  return level(query, true, { r: quorum, pr: quorum, w: quorum, pw: quorum, dw: quorum });
}

/** As many as there are owners, fallbacks among them. */
export function sloppyAll({ owners }: BucketFacts): Level {
  return level('r=all&w=all&dw=all', true, { r: owners, w: owners, dw: owners });
}

export function strictAll({ owners, mode }: BucketFacts): Level {
  if (mode === 'strong') return strictQuorum({ owners, mode });
  return level('consistency=all', false, { r: owners, pr: owners, w: owners, pw: owners, dw: owners });
}
