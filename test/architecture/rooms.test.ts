import { describe, expect, it } from 'vitest';
import { objection, parseRooms } from './rooms.ts';
import { importsOf, readSource, sourceFiles } from './sources.ts';

const architecture = readSource('ARCHITECTURE.md');
const rooms = parseRooms(architecture);

describe('the walls between rooms', () => {
  it('no file of src imports what its room may not', () => {
    const objections = sourceFiles('src').flatMap(({ path, text }) =>
      importsOf(text).map((specifier) => objection(rooms, path, specifier)),
    );
    expect(objections.filter((found) => found !== undefined)).toEqual([]);
  });

  it('each room stands in the table below the rooms that it uses', () => {
    const seen = new Set<string>();
    for (const room of rooms) {
      expect(room.rooms.filter((path) => !seen.has(path))).toEqual([]);
      for (const path of room.paths) seen.add(path);
    }
    expect(seen.size).toBeGreaterThan(15);
  });

  it('every room between the ports and the API is compiled without host types', () => {
    const hosted = ['world', 'world/real', 'world/simulated', 'api', 'client', 'ui', 'cli', '*.ts'];
    const protocol = readSource('tsconfig.protocol.json');
    const missing = rooms
      .flatMap((room) => room.paths)
      .filter((path) => !hosted.includes(path) && !protocol.includes(`"src/${path}"`));
    expect(missing).toEqual([]);
  });

  it.each([
    ['src/ring/ring.ts', '#replica/replica.ts', 'ring may not use replica'],
    ['src/coordinator/put.ts', '#world/real/clock.ts', 'coordinator may not use world/real'],
    ['src/coordinator/put.ts', '#world/simulated/clock.ts', 'coordinator may not use world/simulated'],
    ['src/world/world.ts', './real/clock.ts', 'world may not use world/real'],
    ['src/world/real/clock.ts', '../simulated/clock.ts', 'world/real may not use world/simulated'],
    ['src/api/app.ts', '#replica/replica.ts', 'api may not use replica'],
    ['src/api/app.ts', '#main.ts', 'api may not use *.ts'],
    ['src/world/real/clock.ts', '../world.ts', 'write #'],
    ['src/replica/replica.ts', '../wire/codec.ts', 'write #'],
    ['src/replica/replica.ts', '#replica/tables.ts', 'write ./'],
    ['src/replica/replica.ts', 'node:fs', 'no package'],
    ['src/wire/codec.ts', '@hono/node-server/x', 'may use msgpackr'],
    ['src/cellar/x.ts', '#kernel/bytes.ts', 'in no room'],
    ['src/kernel/x.ts', '#cellar/x.ts', 'in no room'],
  ])('objects: %s importing %s', (importer, specifier, why) => {
    expect(objection(rooms, importer, specifier)).toContain(why);
  });

  it.each([
    ['src/replica/replica.ts', './tables.ts'],
    ['src/replica/replica.ts', '#world/world.ts'],
    ['src/coordinator/put.ts', '#replica/messages.ts'],
    ['src/world/real/clock.ts', '#world/world.ts'],
    ['src/world/real/disk.ts', 'better-sqlite3'],
    ['src/wire/codec.ts', 'msgpackr'],
    ['src/api/routes/keys.ts', '#api/schemas.ts'],
    ['src/main.ts', './node.ts'],
    ['src/cli/cluster.ts', '#node.ts'],
    ['src/node.ts', '#world/real/clock.ts'],
  ])('accepts: %s importing %s', (importer, specifier) => {
    expect(objection(rooms, importer, specifier)).toBeUndefined();
  });

  it('finds imports of every form', () => {
    const text = [
      "import { a } from './a.ts';",
      "import type {\n  B,\n} from '#b/b.ts';",
      "export type { C } from './c.ts';",
      "import './d.ts';",
      "const e = await import('#e/e.ts');",
      "new Worker(import.meta.resolve('./f.ts'));",
    ].join('\n');
    expect(new Set(importsOf(text))).toEqual(new Set(['#b/b.ts', '#e/e.ts', './a.ts', './c.ts', './d.ts', './f.ts']));
  });
});

describe('the list of dependencies', () => {
  it('gives a line to each package of package.json, and to no other', () => {
    const section = architecture.split(/^## /m).find((text) => text.startsWith('Dependencies')) ?? '';
    const listed = [...section.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1]);
    const { dependencies, devDependencies } = JSON.parse(readSource('package.json')) as Record<string, object>;
    expect(new Set(listed)).toEqual(new Set(Object.keys({ ...dependencies, ...devDependencies })));
  });
});
