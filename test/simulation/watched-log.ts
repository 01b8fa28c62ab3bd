/** The nodes' log: entries that tell of an exception which nobody expected are failures of the run. */

import { SimulatedLog } from '#world/simulated/log.ts';
import type { SimulatedProcess } from '#world/simulated/host.ts';
import type { Log, LogFields } from '#world/world.ts';

/** Events that a node logs when its own code threw something unforeseen. */
const UNFORESEEN: ReadonlySet<string> = new Set([
  'handler-failed',
  'request-crashed',
  'mint-failed',
  'epoch-chain-failed',
  'corrupt-row',
  'fetch-faulty',
  'comparison-faulty',
  'read-repair-faulty',
  'read-repair-impossible',
]);

export interface WatchedLogOptions {
  readonly crashed: (host: string, what: string) => void;
  /** Gets every entry as a line. */
  readonly print?: (host: string, line: string) => void;
}

export class WatchedLog extends SimulatedLog {
  readonly #options: WatchedLogOptions;

  constructor(options: WatchedLogOptions) {
    super();
    this.#options = options;
  }

  override of(process: SimulatedProcess): Log {
    const host = process.host.name;
    const write =
      (level: keyof Log) =>
      (event: string, fields: LogFields = {}) => {
        if (!process.alive) return;
        this.#options.print?.(host, `${level} ${event} ${show(fields)}`);
        const isUnforeseen = UNFORESEEN.has(event) || (event === 'commit-failed' && fields['kind'] === 'unexpected');
        if (isUnforeseen) this.#options.crashed(host, `${event} ${show(fields)}`);
      };
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  }
}

function show(fields: LogFields): string {
  return JSON.stringify(fields, (_key, value: unknown) =>
    value instanceof Error ? (value.stack ?? value.message) : typeof value === 'bigint' ? String(value) : value,
  );
}
