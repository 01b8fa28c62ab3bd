/** The settings of repair as the room wants them. */

import type { RepairSettings } from '#repair/repair.ts';
import type { Settings } from '#settings.ts';

export function repairSettings(settings: Settings): RepairSettings {
  return {
    interval: settings['anti-entropy-interval'],
    settle: settings['repair-settle-time'],
    callTimeout: settings['repair-call-timeout'],
    bytesPerSecond: settings['repair-rate-max'],
    busyDelay: settings['repair-busy-delay'],
    share: settings['repair-share'],
    reclaimInterval: settings['reclaim-interval'],
    reclaimAge: settings['reclaim-age'],
    reclaimWait: settings['reclaim-wait'],
    scrubPeriod: settings['scrub-period'],
    moves: {
      lookInterval: settings['transfer-look-interval'],
      atOnce: settings['transfers-at-once'],
      installTimeout: settings['transfer-install-timeout'],
      stallAlarm: settings['transfer-stall-alarm'],
    },
    transferRate: settings['transfer-rate-max'],
    driveInterval: settings['ring-drive-interval'],
    leaverPatience: settings['leaver-patience'],
  };
}
