/**
 * `node bench/client/one-key.ts`: how fast one client writes one strong key of three durable nodes, how many of the writes are
 * answered with an error, and what the key's register has grown to by then.
 */

import Database from 'better-sqlite3';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { text } from '#client/codec.ts';
import { QuoralError } from '#client/errors.ts';
import { connect } from '#client/quoral.ts';
import { REGISTERS } from '#replica/tables.ts';
import { flagsFrom } from '../flags.ts';
import { Nodes } from '../load/nodes.ts';

const { values: flags } = flagsFrom(
  {
    options: {
      writes: { type: 'string', default: '3000' },
      'at-once': { type: 'string', default: '1,8' },
      'base-port': { type: 'string', default: '17501' },
    },
  },
  ['writes', 'base-port'],
  ['at-once'],
);
const WRITES = Number(flags.writes);
const nodes = new Nodes(3, Number(flags['base-port']), ['--log-level', 'warn']);

/** Bytes of the largest register of a node that is stopped. */
function registerBytes(id: string): number {
  const [file = ''] = globSync(join(nodes.directory, id, '*.{db,sqlite}'));
  const disk = new Database(file, { readonly: true });
  const { bytes } = disk.prepare(`SELECT max(length(v)) AS bytes FROM ${REGISTERS}`).get() as { bytes: number };
  disk.close();
  return bytes;
}

try {
  await nodes.startAll();
  const quoral = connect({ urls: Object.values(nodes.urls) });
  await quoral.define('one', { consistency: 'strong' });
  await quoral.ready();
  const bucket = quoral.bucket('one', text);
  for (const atOnce of flags['at-once'].split(',').map(Number)) {
    const errors = new Map<string, number>();
    let left = WRITES;
    const began = performance.now();
    const write = async (): Promise<void> => {
      while (left-- > 0) {
        await bucket.put(`by-${atOnce}`, `value ${left}`).catch((error: unknown) => {
          if (!(error instanceof QuoralError)) throw error;
          const what = `${error.status ?? ''} ${error.code}`;
          errors.set(what, (errors.get(what) ?? 0) + 1);
        });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, write));
    const seconds = (performance.now() - began) / 1000;
    const failed = [...errors].map(([what, count]) => `${count} × ${what}`).join(', ');
    console.log(
      `${atOnce} at once: ${WRITES} writes in ${seconds.toFixed(1)} s, ${(WRITES / seconds).toFixed(0)} a second; errors: ${failed || 'none'}`,
    );
  }
  for (const id of nodes.ids) await nodes.signal(id, 'SIGTERM');
  console.log(`the largest register: ${Math.max(...nodes.ids.map(registerBytes))} bytes`);
} finally {
  await nodes.stop();
}
