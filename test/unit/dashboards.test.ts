/**
 * The dashboard, the alerts and the scrape example in config/ against config/metrics.md: every figure that they use exists, as
 * the kind of figure that they take it for, with the labels that they ask it for.
 */

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

interface Family {
  readonly type: string;
  readonly labels: ReadonlySet<string>;
}

/** Of the process, by prom-client; that a node has them metrics-list.test.ts looks at. */
const OTHERS: Readonly<Record<string, Family>> = {
  up: { type: 'gauge', labels: new Set() },
  process_cpu_seconds_total: { type: 'counter', labels: new Set() },
  process_resident_memory_bytes: { type: 'gauge', labels: new Set() },
  nodejs_heap_size_used_bytes: { type: 'gauge', labels: new Set() },
  nodejs_gc_duration_seconds: { type: 'histogram', labels: new Set(['kind']) },
};
/** Those that Prometheus adds. */
const OF_PROMETHEUS = ['instance', 'job'];

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

function families(): ReadonlyMap<string, Family> {
  const known = new Map(Object.entries(OTHERS));
  for (const [, name, type, labels] of read('config/metrics.md').matchAll(/^\| `(\w+)` *\| (\w+) *\| ([\w, ]*)\|/gm)) {
    known.set(name!, { type: type!, labels: new Set(labels!.split(',').map((label) => label.trim())) });
  }
  return known;
}

interface Use {
  readonly name: string;
  readonly base: string;
  readonly labels: readonly string[];
}

/** The figures in an expression with the labels of their selectors. */
function usesIn(expression: string, known: ReadonlyMap<string, Family>): readonly Use[] {
  return [...expression.matchAll(/\b((?:quoral|process|nodejs)_\w+|up)\b(?:\{([^}]*)\})?/g)].map(
    ([, name, selector]) => {
      const base = known.has(name!) ? name! : name!.replace(/_(bucket|sum|count)$/, '');
      const labels = [...(selector ?? '').matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map((match) => match[1]!);
      return { name: name!, base, labels };
    },
  );
}

function check(where: string, expression: string): void {
  const known = families();
  const uses = usesIn(expression, known);
  expect(uses.length, `${where} uses a figure`).toBeGreaterThan(0);
  for (const { name, base, labels } of uses) {
    const family = known.get(base);
    expect(family, `${where}: ${name} is in config/metrics.md`).toBeDefined();
    const allowed = [...family!.labels, ...OF_PROMETHEUS];
    for (const label of labels) expect(allowed, `${where}: labels of ${name}`).toContain(label);
    expect(name !== base, `${where}: ${name} and its type`).toBe(family!.type === 'histogram');
  }
  const grouped = [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap((match) =>
    match[1]!.split(',').map((one) => one.trim()),
  );
  const possible = new Set(['le', ...OF_PROMETHEUS, ...uses.flatMap(({ base }) => [...known.get(base)!.labels])]);
  for (const label of grouped) expect(possible, `${where}: grouped by ${label}`).toContain(label);
  for (const [, ranged] of expression.matchAll(/\b(?:rate|increase)\((\w+)/g)) {
    const family = known.get(ranged!.replace(/_(bucket|sum|count)$/, '')) ?? known.get(ranged!);
    expect(['counter', 'histogram'], `${where}: a rate of ${ranged}`).toContain(family?.type);
  }
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const DASHBOARD = JSON.parse(read('config/grafana-dashboard.json')) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
};

describe('the dashboard', () => {
  test('has its rows', () => {
    const rows = DASHBOARD.panels.filter(({ type }) => type === 'row').map(({ title }) => title);
    expect(rows).toEqual(['Traffic', 'Errors', 'Latency', 'Quorum', 'Replicas', 'Storage', 'Peers', 'Process']);
  });

  test.each(
    DASHBOARD.panels.filter(({ targets }) => targets !== undefined).map((panel) => [panel.title, panel] as const),
  )('%s', (title, { targets = [] }) => {
    for (const { expr, legendFormat } of targets) {
      check(title, expr);
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        if (expr.includes(' by '))
          expect(expr, `${title}: the legend's ${label}`).toMatch(new RegExp(`by \\([^)]*\\b${label}\\b`));
      }
    }
  });

  test('its panels have ids of their own and do not lie on each other', () => {
    const ids = DASHBOARD.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const taken = new Set<string>();
    for (const { gridPos, title } of DASHBOARD.panels) {
      for (let { x } = gridPos; x < gridPos.x + gridPos.w; x++) {
        for (let { y } = gridPos; y < gridPos.y + gridPos.h; y++) {
          expect(taken, title).not.toContain(`${x} ${y}`);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });

  test('its variables ask for what there is', () => {
    for (const { definition } of DASHBOARD.templating.list) {
      if (definition !== undefined) check(definition, definition);
    }
  });
});

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

const ALERTS = parse(read('config/alerts.yaml')) as { readonly groups: readonly { readonly rules: readonly Rule[] }[] };

describe('the alerts', () => {
  test.each(ALERTS.groups.flatMap(({ rules }) => rules).map((rule) => [rule.alert, rule] as const))(
    '%s',
    (name, rule) => {
      expect(name).toMatch(/^Quoral[A-Z]/);
      check(name, rule.expr);
      expect(['page', 'ticket']).toContain(rule.labels.severity);
      expect(rule.annotations.summary.length).toBeGreaterThan(10);
      expect(rule.annotations.description.length).toBeGreaterThan(10);
      for (const [, label] of `${rule.annotations.summary}${rule.annotations.description}`.matchAll(
        /\$labels\.(\w+)/g,
      )) {
        const known = families();
        const labels = usesIn(rule.expr, known).flatMap(({ base }) => [...known.get(base)!.labels]);
        expect([...labels, ...OF_PROMETHEUS]).toContain(label);
        // What is aggregated away cannot be named.
        if (/\b(sum|min|max|avg)\b/.test(rule.expr)) expect(rule.expr).toMatch(new RegExp(`by \\([^)]*\\b${label}\\b`));
      }
    },
  );

  test('the scrape example loads them', () => {
    const example = parse(read('config/prometheus.yaml')) as {
      rule_files: readonly string[];
      scrape_configs: readonly { job_name: string }[];
    };
    expect(example.rule_files).toEqual(['alerts.yaml']);
    expect(example.scrape_configs[0]?.job_name).toBe('quoral');
  });
});
