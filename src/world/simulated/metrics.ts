/**
 * Metrics that tests can read.
 */

import { assert } from '#kernel/assert.ts';
import type { Counter, Histogram, Labels, Metrics } from '#world/world.ts';

interface Distribution extends Histogram {
  count: number;
  sum: number;
}

export class SimulatedMetrics implements Metrics {
  readonly #counters = new Map<string, Counter & { value: number }>();
  readonly #gauges = new Map<string, () => number>();
  readonly #histograms = new Map<string, Distribution>();
  readonly #shapes = new Map<string, string>();

  counter(name: string, _help: string, labels: Labels = {}): Counter {
    this.#fit('counter', name, labels);
    return entry(this.#counters, seriesName(name, labels), () => ({
      value: 0,
      add(amount = 1) {
        this.value += amount;
      },
    }));
  }

  total(name: string, help: string, read: () => number, labels: Labels = {}): void {
    this.gauge(name, help, read, labels);
  }

  gauge(name: string, _help: string, read: () => number, labels: Labels = {}): void {
    this.#fit('gauge', name, labels);
    this.#gauges.set(seriesName(name, labels), read);
  }

  histogram(name: string, _help: string, _buckets: readonly number[], labels: Labels = {}): Histogram {
    this.#fit('histogram', name, labels);
    return entry(this.#histograms, seriesName(name, labels), () => ({
      count: 0,
      sum: 0,
      observe(value) {
        this.count++;
        this.sum += value;
      },
    }));
  }

  /** A counter's or gauge's value, or how often a histogram has observed; 0 when there is none of that name. */
  value(name: string, labels: Labels = {}): number {
    const series = seriesName(name, labels);
    return (
      this.#counters.get(series)?.value ?? this.#gauges.get(series)?.() ?? this.#histograms.get(series)?.count ?? 0
    );
  }

  /** As the real world does: a name is one kind of figure with one set of labels. */
  #fit(kind: string, name: string, labels: Labels): void {
    const shape = `${kind} with the labels [${Object.keys(labels).toSorted().join(', ')}]`;
    const before = this.#shapes.get(name);
    assert(before === undefined || before === shape, `metric ${name} is a ${before ?? ''}, not a ${shape}`);
    this.#shapes.set(name, shape);
  }

  render(): Promise<string> {
    const lines = [
      ...[...this.#counters].map(([series, { value }]) => `${series} ${value}\n`),
      ...[...this.#gauges].map(([series, read]) => `${series} ${read()}\n`),
      ...[...this.#histograms].map(([series, { count }]) => `${series.replace(/^[^{]+/, '$&_count')} ${count}\n`),
    ];
    return Promise.resolve(lines.join(''));
  }
}

function entry<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

function seriesName(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return pairs.length === 0 ? name : `${name}{${pairs.map(([key, value]) => `${key}="${value}"`).join(',')}}`;
}
