/**
 * The consistency levels that the clients ask for, as the query says it and as the contract counts it. Written down here
 * anew: the checkers must not believe the product's own arithmetic.
 */

import type { ReadQuorum, WriteQuorum } from './history.ts';

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

/** Levels for keys with so many owners in a bucket with the default quorums. */
export function levelsFor(owners: number): readonly Level[] {
  const all = owners;
  const quorum = Math.floor(owners / 2) + 1;
  return [
    level('', true, { r: quorum, w: quorum, dw: quorum }),
    level('consistency=one', true, { r: 1, w: 1, dw: 1 }),
    level('consistency=quorum', true, { r: quorum, w: quorum, dw: quorum }),
    strictQuorum(owners),
    strictAll(owners),
    level('sloppy=false', false, { r: quorum, w: quorum, dw: quorum }),
    level('r=1&w=1&dw=0', true, { r: 1, w: 1, dw: 0 }),
    level('r=all&w=1&dw=1&sloppy=false', false, { r: all, w: 1, dw: 1 }),
    level('r=one&w=all&dw=1&sloppy=false', false, { r: 1, w: all, dw: 1 }),
    level('r=quorum&w=quorum&dw=0&sloppy=false', false, { r: quorum, w: quorum, dw: 0 }),
  ];
}

export function strictQuorum(owners: number): Level {
  const quorum = Math.floor(owners / 2) + 1;
  return level('consistency=strict_quorum', false, { r: quorum, pr: quorum, w: quorum, pw: quorum, dw: quorum });
}

export function strictAll(owners: number): Level {
  return level('consistency=all', false, { r: owners, pr: owners, w: owners, pw: owners, dw: owners });
}
