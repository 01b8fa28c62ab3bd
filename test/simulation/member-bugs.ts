/** Wrong variants of who is there, and of whose disk is whose. */

import type { Bug } from './bugs.ts';

const READ_ROUND = 'src/coordinator/read-round.ts';

export const MEMBER_BUGS: readonly Bug[] = [
  {
    name: 'old-backup-goes-on',
    about: 'a node whose disk was put back to an earlier state serves and votes',
    edits: [
      {
        file: 'src/membership/boot-records.ts',
        from: 'if (seen.storage !== own.storageId) return undefined;',
        to: 'if (seen.storage !== own.storageId || seen.boot > 0) return undefined;',
      },
    ],
    foundBy: { scenario: 'disk-is-put-back' },
  },
  {
    name: 'mark-not-asked-for',
    about: 'a node whose disk was put back to a state since its last start serves and votes',
    edits: [
      {
        file: 'src/membership/boot-records.ts',
        from: 'if (seen.mark <= mark) return undefined;',
        to: 'if (seen.mark >= 0) return undefined;',
      },
    ],
    foundBy: { scenario: 'running-disk-is-put-back' },
  },
  {
    name: 'mark-told-before-durable',
    about: 'others hear of a mark that the disk may lose, and refuse a disk that was only cut off from its power',
    edits: [
      {
        file: 'src/replica/disk-marks.ts',
        from: 'await durable; this.#durable = Math.max(this.#durable, mark);',
        to: 'this.#durable = Math.max(this.#durable, mark); await durable;',
      },
    ],
    foundBy: { scenario: 'power-loss-while-marking' },
  },
  {
    name: 'verdict-moves-data',
    about: 'a dead verdict takes members out of the owners, so that a quorum is one of those that are left',
    edits: [
      {
        file: 'src/coordinator/write-rules.ts',
        from: 'this.tally = new WriteTally(...writeNeeds(route, request));',
        to: 'const most = Math.floor(reachableOwners(environment, route.owners).length / 2) + 1; const left = (n: number) => Math.min(n, most); this.tally = new WriteTally({ w: left(request.w), pw: left(request.pw), dw: left(request.dw) });',
      },
      {
        file: READ_ROUND,
        from: 'this.#needs = { r: scaled(r, replicas, this.#owners.length), pr: scaled(pr, replicas, this.#owners.length) };',
        to: 'const most = Math.floor(reachableOwners(environment, this.#route.owners).length / 2) + 1; this.#needs = { r: Math.min(r, most), pr: Math.min(pr, most + 0 * replicas) };',
      },
    ],
    foundBy: { scenario: 'one-alone-is-asked' },
  },
  {
    name: 'refutes-with-old-incarnation',
    about:
      'a node that is accused says that it is alive without raising its incarnation, so it stays dead to the others',
    edits: [
      {
        file: 'src/membership/member-table.ts',
        from: 'this.#incarnation = news.incarnation + 1;',
        to: 'this.#incarnation = Math.max(this.#incarnation, news.incarnation);',
      },
    ],
    foundBy: { scenario: 'frozen-and-back' },
  },
  {
    name: 'late-loop-accuses',
    about: 'a node that was held up itself takes those for silent whose answers it could not read',
    edits: [
      {
        file: 'src/membership/failure-detector.ts',
        from: 'if (lateness <= probeTimeout) return;',
        to: 'if (lateness <= probeTimeout || lateness > 0) return;',
      },
    ],
    foundBy: { scenario: 'frozen-and-back' },
  },
];
