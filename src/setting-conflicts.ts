/** Settings that are fine one by one and contradict each other: which, and why. */

import type { SettingName, Settings } from './settings.ts';

interface Order {
  readonly less: SettingName;
  readonly more: SettingName;
  /** What would happen otherwise. */
  readonly because: string;
  /** Whether equal ones contradict each other too. */
  readonly strictly?: true;
}

const ORDERS: readonly Order[] = [
  {
    less: 'retry-window',
    more: 'reclaim-age',
    because: 'a deletion that is sent again would find its tombstone given up',
  },
  { less: 'hedge-delay-min', more: 'hedge-delay-max', because: 'no delay would be between them' },
  { less: 'hints-backoff-min', more: 'hints-backoff-max', because: 'no pause would be between them' },
  { less: 'reconnect-delay-min', more: 'reconnect-delay-max', because: 'no pause would be between them' },
  { less: 'value-max', more: 'object-max', because: 'a key must have room for one version' },
  { less: 'commit-group-max', more: 'commit-queue-max', because: 'no group could become as large' },
  {
    ...{ less: 'heartbeat-interval', more: 'silence-limit', strictly: true },
    because: 'idle peers would be disconnected',
  },
  {
    ...{ less: 'join-interval', more: 'join-forget-after', strictly: true },
    because: 'a node that waits to join would be forgotten between two signs of life',
  },
];

/** What contradicts, in one line that names both settings and where they came from; undefined when nothing does. */
export function contradiction(settings: Settings, origins: Readonly<Record<string, string>>): string | undefined {
  for (const { less, more, because, strictly } of ORDERS) {
    const [a, b] = [Number(settings[less]), Number(settings[more])];
    if (strictly === true ? a < b : a <= b) continue;
    const relation = strictly === true ? 'must be less than' : 'must not be more than';
    return `setting ${less} (${origins[less]}) ${relation} ${more} (${origins[more]}): ${because}`;
  }
  return undefined;
}
