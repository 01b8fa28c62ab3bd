/** Scripts about fallbacks, the hints that they keep, and owners that were away meanwhile. */

import { isAnswer } from './messages-on-the-wire.ts';
import { levelsFor, sloppyAll, sloppyWithOwners } from './levels.ts';
import type { Script } from './stage.ts';
import { ALL, FACTS, ONE, STRICT, UNREACHABLE_MS } from './script-settings.ts';

const SLOPPY = levelsFor(FACTS).find(({ query }) => query === '')!;
const WITH_OWNERS = sloppyWithOwners(FACTS);
const ALL_SLOPPY = sloppyAll(FACTS);

export const FALLBACK_SCRIPTS = {
  /**
   * A fallback that no owner hears writes, hands over what it keeps, and writes again. It has forgotten the first write and
   * must not claim to have seen it.
   */
  'fallback-writes-twice': async (stage) => {
    await stage.hintRounds(async (key, owners, [fallback]) => {
      for (let i = 0; i < 2; i++) {
        stage.cut(fallback!, owners);
        await stage.pass(UNREACHABLE_MS);
        await stage.put(fallback!, key, ONE);
        await stage.put(owners[0], key, STRICT);
        await stage.heal();
      }
    });
  },
  /** A hint gets more while what it held is on its way to the owner; the last of it at another moment of that way in each round. */
  'hint-grows-while-delivered': async (stage) => {
    let writes = 7;
    await stage.hintRounds(async (key, [first, second, third], [fallback]) => {
      writes += 1;
      stage.cut(third, [first, second]);
      await stage.pass(UNREACHABLE_MS);
      stage.arena.cluster.network.setFault(fallback!.host, third.host, { delay: 400 });
      for (let i = 0; i < writes; i++) {
        await stage.put(first, key, SLOPPY);
        await stage.pass(130);
      }
      await stage.pass(2000);
    });
  },
  /** An owner and a fallback on one side, the other owners on the other. */
  'owners-are-asked-for': async (stage) => {
    await stage.hintRounds(async (key, [first, second, third], others) => {
      for (const side of [first, ...others]) stage.cut(side, [second, third]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(first, key, WITH_OWNERS);
      await stage.get(second, key, STRICT);
    });
  },
  /** The same, and the one owner has missed a write: together with a fallback that keeps nothing it knows nothing. */
  'a-fallback-knows-nothing': async (stage) => {
    await stage.hintRounds(async (key, [first, second, third], others) => {
      for (const side of [first, ...others]) stage.cut(side, [second, third]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(second, key, STRICT);
      await stage.mustNotAnswer(others[0]!, key, SLOPPY);
    });
  },
  /** A node that owns nothing of the key forwards a write, and all answers to it are lost. */
  'answer-to-a-forward-is-lost': async (stage) => {
    await stage.hintRounds(async (key, owners, [asked]) => {
      for (const { host } of owners) stage.arena.cluster.network.setFault(host, asked!.host, { loses: isAnswer });
      await stage.put(asked!, key, STRICT);
      stage.clear();
      await stage.get(owners[0], key, STRICT);
    });
  },
  /** One fallback keeps a write for all owners, one after the other of whom comes back. */
  'kept-for-several-owners': async (stage) => {
    await stage.hintRounds(async (key, owners, [fallback]) => {
      stage.cut(fallback!, owners);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(fallback!, key, ONE);
      for (const owner of owners) {
        stage.reconnect(fallback!, owner);
        await stage.pass(UNREACHABLE_MS);
      }
    });
  },
  /** A key is deleted while one owner is cut off and has it still; the others have time to forget that it ever was. */
  'deleted-while-one-is-away': async (stage) => {
    await stage.rounds(async (key, [first, second, third]) => {
      await stage.put(first, key, ALL);
      stage.cut(third, [first, second]);
      await stage.pass(UNREACHABLE_MS);
      await stage.remove(first, key, STRICT);
      await stage.pass(8000);
      await stage.heal();
      await stage.pass(4000);
      await stage.get(second, key, STRICT);
      await stage.get(third, key, STRICT);
    });
  },
  /** A fallback has missed what came after its hint; the owners that are read together with it have everything. */
  'a-fallback-is-behind': async (stage) => {
    await stage.hintRounds(async (key, [first, second, third], [fallback]) => {
      stage.cut(third, [first, second, fallback!]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(first, key, SLOPPY);
      stage.cut(fallback!, [first, second]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(second, key, STRICT);
      stage.reconnect(fallback!, first);
      stage.reconnect(fallback!, second);
      await stage.pass(UNREACHABLE_MS);
      const before = stage.mendedBy(first);
      await stage.get(first, key, ALL_SLOPPY);
      await stage.pass(500);
      stage.mendsNobody(first, before);
    });
  },
  /** A key is deleted at all its owners while a fallback keeps an older write of it for one whom it cannot reach. */
  'hint-is-older-than-a-deletion': async (stage) => {
    await stage.hintRounds(async (key, [first, second, third], others) => {
      stage.cut(third, [first, second, ...others]);
      await stage.pass(UNREACHABLE_MS);
      await stage.put(first, key, SLOPPY);
      stage.clear();
      stage.cut(third, others);
      await stage.pass(4000);
      await stage.removeSeen(second, key, ALL);
      await stage.pass(8000);
      await stage.heal();
      await stage.pass(4000);
      await stage.get(third, key, ALL);
    });
  },
} satisfies Readonly<Record<string, Script>>;
