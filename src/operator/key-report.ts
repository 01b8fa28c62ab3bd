/**
 * What one node has of a key, in a form small enough to compare by eye: dots, times and sizes instead of values.
 */

import type { VersionVector } from '#causality/state.ts';
import { decodeState } from '#causality/state-codec.ts';
import type { State } from '#causality/state.ts';
import { toHex } from '#kernel/bytes.ts';
import { nodeIndex, type NodeIndex } from '#kernel/identity.ts';
import type { MessageType } from '#wire/message.ts';
import { MalformedMessage } from '#wire/message.ts';
import { asArray, asBoolean, asInteger, asString } from '#wire/shape.ts';
import type { Digest } from '#world/world.ts';
import type { Dot } from '#causality/dot.ts';

export interface VersionReport {
  readonly dot: Dot;
  /** Bytes of the value; 0 for a deletion marker. */
  readonly bytes: number;
  readonly deleted: boolean;
}

export interface StateReport {
  readonly vector: VersionVector;
  readonly versions: readonly VersionReport[];
  /** The first half of the SHA-256 of the encoded state: equal exactly when all that counts is. */
  readonly digest: string;
}

export interface HintReport {
  readonly owner: NodeIndex;
  /** Null for a note that the owner lacks what the keeper's own record says. */
  readonly state: StateReport | null;
  readonly sole: boolean;
  /** The hybrid time of the oldest operation in it. */
  readonly low: number;
}

export interface KeyReport {
  /** Null when the node has no record of the key. */
  readonly record: StateReport | null;
  /** Why the record cannot be read; empty when it can. */
  readonly damage: string;
  readonly hints: readonly HintReport[];
}

export interface KeyQuestion {
  readonly bucket: string;
  readonly incarnation: number;
  readonly n: number;
  readonly partition: number;
  readonly key: Uint8Array;
}

export function reportState(state: State, encoded: Uint8Array, digest: Digest): StateReport {
  return {
    vector: state.vector,
    versions: state.versions.map(({ dot, content }) => ({
      dot,
      bytes: content?.value.length ?? 0,
      deleted: content === null,
    })),
    digest: toHex(digest.sha256(encoded)).slice(0, 32),
  };
}

export function reportEncoded(encoded: Uint8Array, digest: Digest): StateReport {
  return reportState(decodeState(encoded, digest.crc32), encoded, digest);
}

// --- On the wire ---------------------------------------------------------------------------------------------------

const LONGEST_TEXT = 512;

function dotToWire({ node, tenure, counter }: Dot): readonly unknown[] {
  return [node, tenure, counter];
}

function dotFromWire(body: unknown): Dot {
  const [node, tenure, counter] = asArray(body, 3, 'dot').map((part) => asInteger(part, 'dot', 0));
  if (node! > 65_535) throw new MalformedMessage(`dot of node ${node}`);
  return { node: nodeIndex(node!), tenure: tenure!, counter: counter! };
}

function stateToWire(state: StateReport | null): unknown {
  if (state === null) return null;
  const versions = state.versions.map(({ dot, bytes, deleted }) => [dotToWire(dot), bytes, deleted]);
  return [state.vector.map(dotToWire), versions, state.digest];
}

function stateFromWire(body: unknown): StateReport | null {
  if (body === null) return null;
  const fields = asArray(body, 3, 'state report');
  return {
    vector: asArray(fields[0], 0, 'vector').map(dotFromWire),
    versions: asArray(fields[1], 0, 'versions').map((version) => {
      const parts = asArray(version, 3, 'version');
      return {
        dot: dotFromWire(parts[0]),
        bytes: asInteger(parts[1], 'bytes', 0),
        deleted: asBoolean(parts[2], 'deleted'),
      };
    }),
    digest: asString(fields[2], 'digest', LONGEST_TEXT),
  };
}

export const KeyReportMessage: MessageType<KeyQuestion, KeyReport> = {
  name: 'operator.key-report',
  encodeRequest: ({ bucket, incarnation, n, partition, key }) => [bucket, incarnation, n, partition, key],
  decodeRequest: (body) => {
    const fields = asArray(body, 5, 'operator.key-report');
    if (!(fields[4] instanceof Uint8Array)) throw new MalformedMessage('key report of no key');
    return {
      bucket: asString(fields[0], 'bucket', 128),
      incarnation: asInteger(fields[1], 'incarnation', 0),
      n: asInteger(fields[2], 'n', 1, 7),
      partition: asInteger(fields[3], 'partition', 0, 65_535),
      key: fields[4],
    };
  },
  encodeReply: ({ record, damage, hints }) => [
    stateToWire(record),
    damage,
    hints.map(({ owner, state, sole, low }) => [owner, stateToWire(state), sole, low]),
  ],
  decodeReply: (body) => {
    const fields = asArray(body, 3, 'operator.key-report reply');
    return {
      record: stateFromWire(fields[0]),
      damage: asString(fields[1], 'damage', LONGEST_TEXT),
      hints: asArray(fields[2], 0, 'hints').map((hint) => {
        const parts = asArray(hint, 4, 'hint');
        return {
          owner: nodeIndex(asInteger(parts[0], 'owner', 0, 65_535)),
          state: stateFromWire(parts[1]),
          sole: asBoolean(parts[2], 'sole'),
          low: asInteger(parts[3], 'low', 0),
        };
      }),
    };
  },
};
