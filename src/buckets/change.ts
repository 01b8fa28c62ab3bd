/**
 * Changes of bucket definitions as pure functions of the facts, to be proposed to the epoch chain.
 */

import { MAXIMUM_BUCKET_ROWS } from '#consensus/facts-codec.ts';
import type { BucketRow, Facts } from '#consensus/facts.ts';
import type { Epoch } from '#kernel/identity.ts';
import { epoch } from '#kernel/identity.ts';
import { fillPlacement } from '#ring/placement.ts';
import type { Ring } from '#ring/ring.ts';
import { DEFAULT_PROPERTIES } from './definition.ts';
import type { BucketProperties } from './definition.ts';
import { propertiesFromRow, rowFromProperties } from './schema.ts';

/** Buckets that are defined at one time; any number of others can be used with the defaults. */
export const DEFINED_BUCKETS_MAX = 1024;

export type FactsOrRefusal = Facts | { readonly refused: string };

/** The refusal of a change whose conditions were checked on a definition that holds no more. */
export const MOVED = 'the definition has changed since it was read';

/** What cannot change while a bucket holds keys. */
const FIXED = ['conflicts', 'consistency', 'type', 'n'] as const satisfies readonly (keyof BucketProperties)[];
export type FixedProperty = (typeof FIXED)[number];

/** The first fixed property in which the two differ. */
export function changedFixedProperty(before: BucketProperties, after: BucketProperties): FixedProperty | undefined {
  return FIXED.find((name) => before[name] !== after[name]);
}

export function rowNamed(facts: Facts, name: string): BucketRow | undefined {
  return facts.buckets.find((row) => row.name === name);
}

/**
 * Defines a bucket, with an owner table for its n if that is new; the same facts when they say so already. `checked` is
 * the version for which the caller has found that the fixed properties may change.
 */
export function defineBucket(facts: Facts, name: string, wanted: BucketProperties, checked: Epoch): FactsOrRefusal {
  const row = rowNamed(facts, name);
  const current = row === undefined ? DEFAULT_PROPERTIES : propertiesFromRow(row);
  if (row?.dropped === false && row.frozen !== true && sameProperties(current, wanted)) return facts;
  if ((row?.version ?? 0) !== checked && changedFixedProperty(current, wanted) !== undefined) return { refused: MOVED };
  if (row === undefined || row.dropped) {
    const defined = facts.buckets.filter(({ dropped }) => !dropped).length;
    if (defined >= DEFINED_BUCKETS_MAX) return { refused: `${DEFINED_BUCKETS_MAX} buckets are defined already` };
  }
  if (wanted.consistency === 'strong' && facts.ring.change !== undefined) {
    return {
      refused: 'replicas move now, and those of strong keys move otherwise: define it when the ring change is over',
    };
  }
  if (facts.ring.change !== undefined && !facts.ring.placements.some(({ n }) => n === wanted.n)) {
    return {
      refused: `no bucket has n=${wanted.n} yet, and members come or go: define it when the ring change is over`,
    };
  }
  const next = epoch(facts.epoch + 1);
  const ring = withPlacement(facts.ring, wanted.n, next);
  return withRow({ ...facts, ring }, name, {
    name,
    incarnation: row?.incarnation ?? 0,
    version: next,
    dropped: false,
    properties: rowFromProperties(wanted),
  });
}

/**
 * Refuses all requests for the bucket's keys from this epoch on, so that it can be found out whether there are any: those
 * that rely on the definition of version `checked` are fenced, and nobody begins others.
 */
export function freezeBucket(facts: Facts, name: string, checked: Epoch): FactsOrRefusal {
  const row = rowNamed(facts, name);
  if ((row?.version ?? 0) !== checked) return { refused: MOVED };
  const now = row ?? { name, incarnation: 0, dropped: true, properties: {} };
  return withRow(facts, name, { ...now, version: epoch(facts.epoch + 1), frozen: true });
}

/** Takes back the freeze of version `frozenIn`; the same facts when something else has ended it. */
export function thawBucket(facts: Facts, name: string, frozenIn: Epoch): FactsOrRefusal {
  const row = rowNamed(facts, name);
  if (row?.version !== frozenIn || row.frozen !== true) return facts;
  const { frozen: _, ...thawed } = row;
  return withRow(facts, name, { ...thawed, version: epoch(facts.epoch + 1) });
}

/** Ends the bucket's present life: a new incarnation with the defaults begins. */
export function dropBucket(facts: Facts, name: string): FactsOrRefusal {
  const incarnation = (rowNamed(facts, name)?.incarnation ?? 0) + 1;
  return withRow(facts, name, { name, incarnation, version: epoch(facts.epoch + 1), dropped: true, properties: {} });
}

/** The next facts, with the row in its place. A row stays for ever, because its incarnation must never be forgotten. */
function withRow(facts: Facts, name: string, row: BucketRow): FactsOrRefusal {
  const others = facts.buckets.filter((other) => other.name !== name);
  if (others.length >= MAXIMUM_BUCKET_ROWS) {
    return { refused: `${MAXIMUM_BUCKET_ROWS} buckets were defined or dropped already, and their names must be kept` };
  }
  const buckets = [...others, row].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { ...facts, epoch: row.version, buckets };
}

function withPlacement(ring: Ring, n: number, changedIn: Epoch): Ring {
  if (ring.placements.some((placement) => placement.n === n)) return ring;
  const placements = [...ring.placements, fillPlacement(ring.members, n, ring.partitionCount, changedIn)];
  return { ...ring, placements: placements.sort((a, b) => a.n - b.n) };
}

function sameProperties(a: BucketProperties, b: BucketProperties): boolean {
  return Object.keys(DEFAULT_PROPERTIES).every((name) => {
    const key = name as keyof BucketProperties;
    return a[key] === b[key];
  });
}
