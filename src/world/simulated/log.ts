/**
 * Keeps what the nodes of a simulation logged, in one list with virtual times.
 */

import type { Log, LogFields } from '#world/world.ts';
import type { SimulatedProcess } from './host.ts';

export interface LogEntry {
  /** Virtual milliseconds since the start of the simulation. */
  readonly time: number;
  readonly host: string;
  readonly level: keyof Log;
  readonly event: string;
  readonly fields: LogFields;
}

const MAX_ENTRIES = 100_000;

export class SimulatedLog {
  readonly #print: ((line: string) => void) | undefined;
  readonly #entries: LogEntry[] = [];

  /** `print` gets each entry as a line. */
  constructor(print?: (line: string) => void) {
    this.#print = print;
  }

  /** The last of them, oldest first; up to 100,000. */
  get entries(): readonly LogEntry[] {
    return this.#entries;
  }

  /** The log of one process; what it says after its end is not kept. */
  of(process: SimulatedProcess): Log {
    const write =
      (level: keyof Log) =>
      (event: string, fields: LogFields = {}) => {
        if (process.alive)
          this.#add({ time: process.host.simulation.now, host: process.host.name, level, event, fields });
      };
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  }

  #add(entry: LogEntry): void {
    if (this.#entries.length >= 2 * MAX_ENTRIES) this.#entries.splice(0, MAX_ENTRIES);
    this.#entries.push(entry);
    this.#print?.(formatEntry(entry));
  }
}

function formatEntry({ time, host, level, event, fields }: LogEntry): string {
  return `${time.toFixed(3)} ${host} ${level} ${event} ${JSON.stringify(fields, printable)}`;
}

function printable(_key: string, value: unknown): unknown {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return typeof value === 'bigint' ? String(value) : value;
}
