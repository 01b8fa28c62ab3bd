/** Scripts about requests that are made several times, and about sessions that change their node. */

import { StoreMessage } from '#replica/messages.ts';
import { requestName } from './messages-on-the-wire.ts';
import { levelsFor } from './levels.ts';
import type { Script } from './stage.ts';
import { ALL, FACTS, ONE, STRICT, UNREACHABLE_MS } from './script-settings.ts';

const ONE_OWNER = levelsFor(FACTS).find(({ query }) => query === 'r=all&w=1&dw=1&sloppy=false')!;

export const ATTEMPT_SCRIPTS = {
  /** The network repeats every message a little later; meanwhile somebody has replaced what the first one wrote. */
  'requests-come-twice': async (stage) => {
    await stage.rounds(async (key, [full, ...others]) => {
      // Whoever has a full disk forwards what it is asked to write.
      full.medium.capacityBytes = 1;
      await stage.put(full, { ...key, key: `${key.key}-fills` }, ONE);
      const { network } = stage.arena.cluster;
      for (const { host } of others) network.setFault(full.host, host, { duplicate: 1 });
      await stage.put(full, key, STRICT);
      network.clearFaults();
      await stage.replace(others[0], key, STRICT);
      await stage.pass(2000);
      await stage.get(others[1], key, STRICT);
    });
  },
  /** A request is sent again where nobody can be asked who knows that it was carried out, and something has come after it. */
  'retried-where-nobody-knows': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      stage.cut(third, [first, second]);
      await stage.pass(UNREACHABLE_MS);
      const write = stage.keyed(key, ONE_OWNER);
      await stage.send(write, first);
      await stage.replace(second, key, STRICT);
      await stage.send(write, third);
      await stage.heal();
      await stage.send(write, third);
      await stage.get(third, key, STRICT);
    });
  },
  /** A request is sent again where one owner has missed it, and the others remember only by its row that it was carried out. */
  'retried-where-one-missed-it': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      const { network } = stage.arena.cluster;
      const loses = (message: Uint8Array): boolean => requestName(message) === StoreMessage.name;
      for (const { host } of [first, second]) network.setFault(host, third.host, { loses });
      const write = stage.keyed(key, STRICT);
      await stage.send(write, first);
      await stage.replace(second, key, STRICT);
      await stage.send(write, third);
      network.clearFaults();
      await stage.get(second, key, ALL);
    });
  },
  /** Two attempts at one request are minted by nodes that could not know of each other, and meet. */
  'attempts-meet': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      const { network } = stage.arena.cluster;
      const loses = (message: Uint8Array): boolean => requestName(message) === StoreMessage.name;
      for (const { host } of [second, third]) network.setFault(first.host, host, { loses });
      const write = stage.keyed(key, STRICT);
      await stage.send(write, first);
      stage.cut(first, [second, third]);
      await stage.pass(UNREACHABLE_MS);
      await stage.send(write, second);
      await stage.heal();
      await stage.get(third, key, ALL);
      await stage.send(write, third);
      await stage.get(first, key, ALL);
    });
  },
  /** A request that creates is sent again: what it finds is what it has made. */
  'created-once': async (stage) => {
    await stage.rounds(async (key, machines) => {
      const write = stage.keyed(key, STRICT, 'absent');
      for (const machine of machines) await stage.send(write, machine);
    });
  },
  /** Sessions that write and read at a node that is cut off, and then read at others. */
  'session-goes-elsewhere': async (stage) => {
    await stage.rounds(async (key, [first, ...others]) => {
      await stage.put(first, key, ALL);
      stage.cut(first, others);
      const [writer, reader] = [stage.inSession(), stage.inSession()];
      await stage.write(writer, first, key, ONE);
      await stage.read(writer, others[0], key, ONE);
      await stage.read(reader, first, key, ONE);
      await stage.read(reader, others[1], key, ONE);
      await stage.heal();
      for (const client of [writer, reader]) await stage.read(client, others[0], key, ONE);
    });
  },
  /** A session writes at a node whose clock is ahead, and then, without having read, at one whose clock is not. */
  'session-with-slow-clocks': async (stage) => {
    await stage.rounds(async (key, [first, ...others]) => {
      first.host.clock.jump(400);
      stage.cut(first, others);
      const client = stage.inSession();
      await stage.write(client, first, key, ONE);
      await stage.write(client, others[0], key, STRICT);
      first.host.clock.jump(-400);
      await stage.heal();
      await stage.read(client, others[1], key, ALL);
    });
  },
} satisfies Readonly<Record<string, Script>>;
