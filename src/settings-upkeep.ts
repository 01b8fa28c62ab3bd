/** Settings of what goes on in the background to keep replicas where they belong and alike: a part of the list in settings.ts. */

import { duration, integer, rate, setting, shareOfTime } from './setting-readers.ts';

export const UPKEEP_SETTINGS = {
  // ring changes
  'transfer-rate-max': setting(
    rate(1024, 16 * 1024 ** 3),
    '8MiB',
    'bytes a second that a node spends on a ring change that was begun without --throttle',
  ),
  'transfers-at-once': setting(
    integer(1, 16),
    '2',
    'partitions that a node takes over or gives away at once; more where round trips are long',
  ),
  'transfer-look-interval': setting(
    duration(10, 60_000),
    '500ms',
    'pause before a node tries again what it could not take over or give away',
  ),
  'transfer-install-timeout': setting(
    duration(10, 60_000),
    '2s',
    'how long members may take to install an epoch of a ring change before they are asked again',
  ),
  'transfer-stall-alarm': setting(
    duration(100, 86_400_000),
    '60s',
    'time without any partition moved after which a node tells of it',
  ),
  'ring-drive-interval': setting(
    duration(10, 60_000),
    '500ms',
    'pause between two looks of the node that drives a ring change',
  ),
  'leaver-patience': setting(
    duration(0, 86_400_000),
    '30s',
    'how long a node that leaves may be out of reach before the ring changes without what it alone has',
  ),
  // anti-entropy
  'anti-entropy-interval': setting(
    duration(10, 86_400_000),
    '15s',
    'pause between two comparisons with other owners that this node begins',
  ),
  'repair-settle-time': setting(
    duration(0, 600_000),
    '5s',
    'differences of keys written within this time are left to the writes that are under way',
  ),
  'repair-rate-max': setting(
    rate(1024, 16 * 1024 ** 3),
    '8MiB',
    'bytes a second that repair of all kinds reads, sends and takes at this node',
  ),
  'repair-busy-delay': setting(duration(1, 60_000), '50ms', 'lateness of timers at which repair waits for the clients'),
  'repair-share': setting(
    shareOfTime,
    '0.15',
    'share of its time that a node spends on repair of all kinds, ring changes too, while clients want the rest',
  ),
  'scrub-period': setting(
    duration(1000, 366 * 24 * 3_600_000),
    '168h',
    'time in which every row is read once, to see whether it is whole',
  ),
  'reclaim-interval': setting(
    duration(10, 7 * 24 * 3_600_000),
    '10m',
    'pause between two passes that give tombstones up and compact long version vectors',
  ),
  'reclaim-age': setting(
    duration(0, 366 * 24 * 3_600_000),
    '10m',
    'time that a key is dead before its tombstone is given up; at least retry-window',
  ),
  'reclaim-wait': setting(
    duration(10, 3_600_000),
    '30s',
    'time that messages are given to arrive before a tombstone is given up; more than clocks differ',
  ),
  'repair-call-timeout': setting(duration(1, 600_000), '30s', 'how long one call of repair to another node may take'),
} as const;
