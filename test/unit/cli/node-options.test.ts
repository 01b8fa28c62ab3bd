/** What an operator sets arrives where the node is put together. */

import { expect, test } from 'vitest';
import { nodeOptions } from '#cli/run-node.ts';
import { loadConfig } from '#config.ts';
import { UPKEEP_SETTINGS } from '#settings-upkeep.ts';
import { SETTINGS, type SettingName } from '#settings.ts';

const NAMES = [...Object.keys(UPKEEP_SETTINGS), 'disk-mark-interval'] as readonly SettingName[];

function optionsWith(flags: Readonly<Record<string, string>>): string {
  const { settings, origins } = loadConfig({ file: undefined, environment: {}, flags });
  return JSON.stringify(nodeOptions(settings, origins));
}

/** A value that is allowed and not the default. */
function anotherFor(name: SettingName): string {
  const { read } = SETTINGS[name];
  const isAllowed = (text: string): boolean => {
    try {
      read(text);
      return true;
    } catch {
      return false;
    }
  };
  return ['12345', '3', '0.5'].find(isAllowed)!;
}

test.each(NAMES)('%s', (name) => {
  // As short as whatever is measured by it.
  const others = { 'retry-window': '1s' };
  expect(optionsWith({ ...others, [name]: anotherFor(name) })).not.toBe(optionsWith(others));
});
