/**
 * Metrics through prom-client. Counters and histograms are counted in plain fields and handed over when somebody asks,
 * because they stand on the hottest paths (bench/micro/metrics.bench.ts: a few ns instead of 150 and 750).
 */

import {
  collectDefaultMetrics,
  Counter as PromCounter,
  Gauge as PromGauge,
  type Histogram as PromHistogram,
  Registry,
} from 'prom-client';
import { assert } from '#kernel/assert.ts';
import type { Counter, Histogram, Labels, Metrics } from '#world/world.ts';

export interface MetricsOptions {
  /** Adds the process's own under the names that prom-client gives them: CPU, memory, garbage collection, descriptors. */
  readonly process?: boolean;
}

/** What was asked for first under a name; asking again must fit it. */
interface Family<Child> {
  readonly labelNames: readonly string[];
  readonly children: Map<string, Child>;
}

class CountedField implements Counter {
  readonly labels: Labels;
  value = 0;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  add(amount = 1): void {
    this.value += amount;
  }
}

/** The distribution of what was observed, in buckets up to each bound and one for the rest. */
class CountedDistribution implements Histogram {
  readonly labels: Labels;
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[], labels: Labels) {
    this.#bounds = bounds;
    this.#counts = [...bounds.map(() => 0), 0];
    this.labels = labels;
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    this.#counts[bucket]! += 1;
    this.#sum += value;
  }

  /** As the exposition format has it: each bucket counts all that is not above its bound. */
  samples(name: string): readonly Sample[] {
    let count = 0;
    const buckets = this.#counts.map((more, bucket) => {
      count += more;
      const le = this.#bounds[bucket] ?? '+Inf';
      return { metricName: `${name}_bucket`, labels: { ...this.labels, le }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: this.labels, value: this.#sum },
      { metricName: `${name}_count`, labels: this.labels, value: count },
    ];
  }
}

interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** 25 days: the longest pause that every version of Node.js takes. */
const HARDLY_EVER_MS = 2 ** 31 - 1;

interface ReadField {
  readonly labels: Labels;
  readonly read: () => number;
}

class PromMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Family<CountedField>>();
  readonly #totals = new Map<string, Family<ReadField>>();
  readonly #gauges = new Map<string, Family<ReadField>>();
  readonly #histograms = new Map<string, Family<CountedDistribution>>();

  constructor(options: MetricsOptions) {
    if (options.process === true) this.#watchProcess();
  }

  /**
   * But for the delays of its event loop: for them prom-client has the loop woken a hundred times a second, more often than all else
   * of a node at rest together, and event-loop.ts tells the same in buckets.
   */
  #watchProcess(): void {
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: HARDLY_EVER_MS });
    const names = this.#registry.getMetricsAsArray().map(({ name }) => name);
    for (const name of names) if (name.startsWith('nodejs_eventloop_lag')) this.#registry.removeSingleMetric(name);
  }

  counter(name: string, help: string, labels: Labels = {}): Counter {
    let family = this.#counters.get(name);
    if (family === undefined) {
      const children = new Map<string, CountedField>();
      family = { labelNames: Object.keys(labels), children };
      this.#counters.set(name, family);
      new PromCounter({
        ...this.#description(name, help, labels),
        collect() {
          this.reset();
          for (const child of children.values()) this.inc(child.labels, child.value);
        },
      });
    }
    return childOf(name, family, labels, () => new CountedField(labels));
  }

  total(name: string, help: string, read: () => number, labels: Labels = {}): void {
    let family = this.#totals.get(name);
    if (family === undefined) {
      const children = new Map<string, ReadField>();
      family = { labelNames: Object.keys(labels), children };
      this.#totals.set(name, family);
      new PromCounter({
        ...this.#description(name, help, labels),
        collect() {
          this.reset();
          for (const child of children.values()) this.inc(child.labels, child.read());
        },
      });
    }
    assertFits(name, family, labels);
    family.children.set(childKey(labels), { labels, read });
  }

  gauge(name: string, help: string, read: () => number, labels: Labels = {}): void {
    let family = this.#gauges.get(name);
    if (family === undefined) {
      const children = new Map<string, ReadField>();
      family = { labelNames: Object.keys(labels), children };
      this.#gauges.set(name, family);
      new PromGauge({
        ...this.#description(name, help, labels),
        collect() {
          for (const child of children.values()) this.set(child.labels, child.read());
        },
      });
    }
    assertFits(name, family, labels);
    family.children.set(childKey(labels), { labels, read });
  }

  histogram(name: string, help: string, buckets: readonly number[], labels: Labels = {}): Histogram {
    let family = this.#histograms.get(name);
    if (family === undefined) {
      family = { labelNames: Object.keys(labels), children: new Map() };
      this.#histograms.set(name, family);
      this.#registry.registerMetric(distributions(name, help, family.children));
    }
    return childOf(name, family, labels, () => new CountedDistribution(buckets, labels));
  }

  render(): Promise<string> {
    return this.#registry.metrics();
  }

  #description(name: string, help: string, labels: Labels) {
    return { name, help, labelNames: Object.keys(labels), registers: [this.#registry] };
  }
}

/** What a registry needs of a metric when it renders: the samples themselves, which prom-client's own class cannot be given. */
function distributions(name: string, help: string, children: Map<string, CountedDistribution>): PromHistogram {
  const get = (): unknown => {
    const values = [...children.values()].flatMap((child) => child.samples(name));
    return Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values });
  };
  return { name, help, get } as unknown as PromHistogram;
}

function childOf<Child>(name: string, family: Family<Child>, labels: Labels, make: () => Child): Child {
  assertFits(name, family, labels);
  const key = childKey(labels);
  let child = family.children.get(key);
  if (child === undefined) {
    child = make();
    family.children.set(key, child);
  }
  return child;
}

function assertFits(name: string, family: Family<unknown>, labels: Labels): void {
  const names = Object.keys(labels);
  const same = names.length === family.labelNames.length && family.labelNames.every((label) => label in labels);
  assert(same, `metric ${name} has the labels [${family.labelNames.join(', ')}], not [${names.join(', ')}]`);
}

function childKey(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function createMetrics(options: MetricsOptions = {}): Metrics {
  return new PromMetrics(options);
}
