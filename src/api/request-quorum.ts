/**
 * From the query of a key request to numbers of replicas.
 */

import type { Bucket } from '#buckets/definition.ts';
import {
  parseQuorumWord,
  resolveConsistency,
  resolveRead,
  resolveWrite,
  type AskedRead,
  type AskedWrite,
  type Unresolved,
} from '#quorum/resolve.ts';
import type { QuorumWord } from '#quorum/words.ts';
import { malformed, readBoolean } from './parameters.ts';
import { invalid, Problem } from './problem.ts';
import type { Query } from './query.ts';

const WORD_PARAMETERS = ['r', 'w', 'pr', 'pw', 'dw'] as const;
const PARTS_OF_CONSISTENCY = [...WORD_PARAMETERS, 'sloppy'] as const;

export const QUORUM_PARAMETERS = [...PARTS_OF_CONSISTENCY, 'consistency'] as const;

/** What a request asks for, before the bucket's defaults and the size of the cluster are looked at. */
export interface Asked {
  readonly read: AskedRead;
  readonly write: AskedWrite;
  readonly sloppy: boolean | undefined;
  /** Whether a majority of the key's owners in this node's zone is wanted, whatever the numbers. */
  readonly local: boolean;
}

export interface ReadQuorum {
  readonly r: number;
  readonly pr: number;
}

export interface WriteQuorum {
  readonly w: number;
  readonly pw: number;
  readonly dw: number;
}

const NOTHING_ASKED: Asked = { read: {}, write: {}, sloppy: undefined, local: false };

/** All quorum parameters are read for every request, so that one that means nothing to it is still checked. */
export function parseAsked(query: Query): Asked | Problem {
  if (query.size === 0) return NOTHING_ASKED;
  const consistency = query.get('consistency');
  if (consistency !== undefined) return parseConsistency(consistency, query);
  const words: Partial<Record<(typeof WORD_PARAMETERS)[number], QuorumWord>> = {};
  for (const name of WORD_PARAMETERS) {
    const text = query.get(name);
    if (text === undefined) continue;
    const word = parseQuorumWord(text);
    if (word === undefined) return malformed(name, text);
    words[name] = word;
  }
  const given = query.get('sloppy');
  const sloppy = given === undefined ? undefined : readBoolean('sloppy', given);
  return sloppy instanceof Problem ? sloppy : { read: words, write: words, sloppy, local: false };
}

function parseConsistency(text: string, query: Query): Asked | Problem {
  const meaning = resolveConsistency(text);
  if (meaning.kind === 'invalid') return new Problem('invalid-request', meaning.detail, { field: 'consistency' });
  const part = PARTS_OF_CONSISTENCY.find((name) => query.has(name));
  if (part !== undefined) return invalid('consistency', `stands for ${part} too; give one of them only`);
  return meaning;
}

export function readQuorum(asked: Asked, { properties }: Bucket, members: number): ReadQuorum | Problem {
  const resolved = resolveRead(asked.read, properties, properties.n, members);
  return resolved.kind === 'ok' ? resolved : unresolved(resolved);
}

export function writeQuorum(asked: Asked, { properties }: Bucket, members: number): WriteQuorum | Problem {
  const resolved = resolveWrite(asked.write, properties, properties.n, members);
  return resolved.kind === 'ok' ? resolved : unresolved(resolved);
}

function unresolved(problem: Unresolved): Problem {
  switch (problem.kind) {
    case 'invalid':
      return new Problem('invalid-request', problem.detail, { field: problem.parameter });
    case 'unavailable': {
      const { needed, of } = problem;
      const detail = `${needed} replicas are needed and the cluster has ${of} for the key`;
      return new Problem('quorum-unavailable', detail, { needed, got: of });
    }
  }
}
