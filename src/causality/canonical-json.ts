/**
 * One text for each JSON value, so that equal values have equal bytes: members sorted by name, numbers as JavaScript writes
 * them, no spaces.
 */

/** Lists and objects within each other. */
export const JSON_DEPTH_MAX = 32;

/** The text; undefined for what is no JSON value, and for lists and objects that stand too deep in each other. */
export function canonicalJson(value: unknown, depth = JSON_DEPTH_MAX): string | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
    case 'number':
      return Number.isFinite(value) ? JSON.stringify(value) : undefined;
    case 'object':
      if (value === null) return 'null';
      if (depth === 0) return undefined;
      return Array.isArray(value) ? listText(value, depth - 1) : objectText(value, depth - 1);
    default:
      return undefined;
  }
}

function listText(list: readonly unknown[], depth: number): string | undefined {
  const items = list.map((item) => canonicalJson(item, depth));
  return items.includes(undefined) ? undefined : `[${items.join(',')}]`;
}

function objectText(object: object, depth: number): string | undefined {
  const members: string[] = [];
  for (const [name, member] of Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const text = canonicalJson(member, depth);
    if (text === undefined) return undefined;
    members.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${members.join(',')}}`;
}
