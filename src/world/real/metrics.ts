/**
 * Metrics through prom-client. Counters are counted in plain fields and handed over when somebody asks, because they
 * stand on the hottest paths (1 ns instead of 150).
 */

import {
  collectDefaultMetrics,
  Counter as PromCounter,
  Gauge as PromGauge,
  Histogram as PromHistogram,
  Registry,
} from 'prom-client';
import { assert } from '#kernel/assert.ts';
import type { Counter, Histogram, Labels, Metrics } from '#world/world.ts';

export interface MetricsOptions {
  /** Adds the process's own: CPU, memory, garbage collection, delay of the event loop. */
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

interface ReadField {
  readonly labels: Labels;
  readonly read: () => number;
}

class PromMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Family<CountedField>>();
  readonly #gauges = new Map<string, Family<ReadField>>();
  readonly #histograms = new Map<string, Family<Histogram> & { readonly metric: PromHistogram }>();

  constructor(options: MetricsOptions) {
    if (options.process === true) collectDefaultMetrics({ register: this.#registry });
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
      const metric = new PromHistogram({ ...this.#description(name, help, labels), buckets: [...buckets] });
      family = { labelNames: Object.keys(labels), children: new Map(), metric };
      this.#histograms.set(name, family);
    }
    const { metric } = family;
    return childOf(name, family, labels, () => metric.labels(labels));
  }

  render(): Promise<string> {
    return this.#registry.metrics();
  }

  #description(name: string, help: string, labels: Labels) {
    return { name, help, labelNames: Object.keys(labels), registers: [this.#registry] };
  }
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
