/**
 * What this room counts: how requests ended, and how much agreement stood behind them. Everything is resolved once; a
 * request only adds.
 */

import type { BucketProperties } from '#buckets/definition.ts';
import type { Counter, Histogram, Metrics } from '#world/world.ts';
import type { ListOutcome } from './list.ts';
import type { Agreement, ReadOutcome, WriteOutcome } from './requests.ts';

const REPLICAS = [0, 1, 2, 3, 4, 5, 6, 7];
const SIBLINGS = [0, 1, 2, 3, 5, 10, 20, 50, 100];
const CONTEXT_ENTRIES = [0, 1, 2, 3, 5, 7, 10, 20, 50, 100, 200];

export class CoordinatorFigures {
  readonly #reads: Readonly<Record<'value' | 'siblings' | 'absent' | 'failed', Counter>>;
  readonly #writes: Readonly<Record<WriteOutcome['kind'], Counter>>;
  readonly #readReplicas: Histogram;
  readonly #writeReplicas: Histogram;
  readonly #readFallbacks: Counter;
  readonly #writeFallbacks: Counter;
  readonly #siblings: Histogram;
  readonly #contextEntries: Histogram;
  /** Reads that asked further owners because those asked first were slow. */
  readonly hedged: Counter;
  /** Writes that went to another node because this one does not own the key, or has no space. */
  readonly forwarded: Counter;

  readonly #pages: Readonly<Record<ListOutcome['kind'], Counter>>;
  readonly #listedKeys: Counter;

  /** Values that a read had to ask for once more, since only outlines named them. */
  readonly valuesFetched: Counter;

  /** Increments with idempotency keys that went into a total. */
  readonly folded: Counter;

  /** Owners that have missed a write and get no hint. */
  readonly hintsLeftOut: Counter;

  constructor(metrics: Metrics) {
    const read = (outcome: string): Counter =>
      metrics.counter('quoral_reads_total', 'Reads that came in here, by what they found', { outcome });
    const write = (outcome: string): Counter =>
      metrics.counter('quoral_writes_total', 'Writes that came in here, by outcome', { outcome });
    const replicas = (operation: string): Histogram =>
      metrics.histogram('quoral_request_replicas', 'Replicas that had agreed when a request was answered', REPLICAS, {
        operation,
      });
    const fallbacks = (operation: string): Counter =>
      metrics.counter('quoral_fallbacks_used_total', 'Fallbacks that stood in for owners', { operation });
    this.#reads = { value: read('value'), siblings: read('siblings'), absent: read('absent'), failed: read('failed') };
    this.#writes = {
      applied: write('applied'),
      'precondition-failed': write('precondition-failed'),
      'not-applied': write('not-applied'),
      unknown: write('unknown'),
    };
    this.#readReplicas = replicas('read');
    this.#writeReplicas = replicas('write');
    this.#readFallbacks = fallbacks('read');
    this.#writeFallbacks = fallbacks('write');
    this.#siblings = metrics.histogram('quoral_read_siblings', 'Live versions that a read found', SIBLINGS);
    this.#contextEntries = metrics.histogram(
      'quoral_context_entries',
      'Actors in the context of what was read or written',
      CONTEXT_ENTRIES,
    );
    const pages = (outcome: string): Counter =>
      metrics.counter('quoral_list_pages_total', 'Pages of listings of keys, by outcome', { outcome });
    this.#pages = { page: pages('page'), failed: pages('failed') };
    this.#listedKeys = metrics.counter('quoral_listed_keys_total', 'Keys that listings have shown');
    this.valuesFetched = metrics.counter(
      'quoral_read_values_fetched_total',
      'Large values that a read asked for apart, because the owner that sends values lacked them',
    );
    this.folded = metrics.counter(
      'quoral_increments_folded_total',
      'Increments with idempotency keys that went into the total of their counter when their window was over',
    );
    this.hintsLeftOut = metrics.counter(
      'quoral_hints_left_out_total',
      'Writes that an owner has missed and for which no hint could be stored',
    );
    this.hedged = metrics.counter('quoral_hedged_reads_total', 'Reads that asked more owners because some were slow');
    this.forwarded = metrics.counter(
      'quoral_writes_forwarded_total',
      'Writes that were given to an owner of their key',
    );
  }

  /** Of a data type what is live are entries, and no siblings. */
  read(outcome: ReadOutcome, type: BucketProperties['type']): void {
    this.#agreed(outcome.agreement, this.#readReplicas, this.#readFallbacks);
    if (outcome.kind === 'failed') {
      this.#reads.failed.add();
      return;
    }
    const length = type === 'value' ? outcome.versions.length : Math.min(1, outcome.versions.length);
    this.#reads[length === 0 ? 'absent' : length === 1 ? 'value' : 'siblings'].add();
    this.#siblings.observe(length);
    this.#contextEntries.observe(outcome.context.length);
  }

  write(outcome: WriteOutcome): void {
    this.#writes[outcome.kind].add();
    this.#agreed(outcome.agreement, this.#writeReplicas, this.#writeFallbacks);
    if (outcome.kind === 'applied') this.#contextEntries.observe(outcome.context.length);
  }

  listed(outcome: ListOutcome): void {
    this.#pages[outcome.kind].add();
    if (outcome.kind === 'page') this.#listedKeys.add(outcome.keys.length);
  }

  #agreed({ acked, fallbacks }: Agreement, replicas: Histogram, used: Counter): void {
    replicas.observe(acked);
    if (fallbacks > 0) used.add(fallbacks);
  }
}
