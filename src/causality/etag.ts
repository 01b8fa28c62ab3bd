/**
 * Entity tags for HTTP's conditional requests. Every node must give the same tag to the same set of versions, so a tag is
 * a hash of the set's dots: a dot names its content for ever.
 */

import { ByteWriter, varintBytes } from '#kernel/binary.ts';
import { hash64ToHex, sipHash64, sipKey } from '#kernel/siphash.ts';
import { compareDotsByActor, type Dot } from './dot.ts';
import type { Version } from './state.ts';

/** Fixed and public: tags are opaque, not secret. A change of it or of the hashed bytes changes every tag. */
const KEY = sipKey(new Uint8Array(16));

/**
 * The tag of these versions as a set, in any order: 16 hex digits, without HTTP's quotes. Give it the versions that are
 * live for the reader. One of several siblings has another tag than all of them together.
 */
export function etagOf(versions: readonly Pick<Version, 'dot'>[]): string {
  let size = 0;
  for (const { dot } of versions) size += dotBytes(dot);
  const writer = new ByteWriter(size);
  // Nearly always there is one.
  if (versions.length === 1) writeDot(writer, versions[0]!.dot);
  else for (const dot of versions.map((version) => version.dot).toSorted(compareDotsByActor)) writeDot(writer, dot);
  return hash64ToHex(sipHash64(KEY, writer.finish()));
}

function writeDot(writer: ByteWriter, { node, tenure, counter }: Dot): void {
  writer.varint(node);
  writer.varint(tenure);
  writer.varint(counter);
}

function dotBytes({ node, tenure, counter }: Dot): number {
  return varintBytes(node) + varintBytes(tenure) + varintBytes(counter);
}
