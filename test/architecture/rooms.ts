/** Reads the table of rooms in ARCHITECTURE.md and judges imports by it. */

import { targetOf } from './sources.ts';

export interface Room {
  /** Paths below src without a closing slash (`ring`, `world/real`), and `*.ts` for the files of src itself. */
  readonly paths: readonly string[];
  /** Paths of the rooms it may import, its own not among them. */
  readonly rooms: readonly string[];
  /** Packages and `node:` modules it may import; undefined for any. */
  readonly packages: readonly string[] | undefined;
}

/** The rows of the table in the section "The rooms", in their order. */
export function parseRooms(architecture: string): readonly Room[] {
  const section = architecture.split(/^## /m).find((text) => text.startsWith('The rooms')) ?? '';
  const rooms: Room[] = [];
  for (const line of section.split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim());
    const paths = quoted((cells[1] ?? '').replace(/\(.*\)/, ''));
    if (paths.length === 0) continue;
    const [mayImport = '', packages = ''] = cells.slice(3);
    rooms.push({
      paths,
      rooms: expand(mayImport, rooms),
      packages: packages === 'any' ? undefined : quoted(packages),
    });
  }
  return rooms;
}

function expand(mayImport: string, above: readonly Room[]): readonly string[] {
  const all = above.flatMap((room) => room.paths);
  if (mayImport === 'everything') return all;
  if (mayImport === 'all above') return all.filter((path) => !path.startsWith('world/'));
  return quoted(mayImport);
}

function quoted(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!.replace(/\/$/, ''));
}

/** The innermost room that the path below src lies in. */
function roomAt(rooms: readonly Room[], path: string): { readonly room: Room; readonly path: string } | undefined {
  const found = rooms
    .flatMap((room) => room.paths.map((roomPath) => ({ room, path: roomPath })))
    .filter((candidate) => path.startsWith(`${candidate.path}/`) || (candidate.path === '*.ts' && !path.includes('/')));
  return found.sort((a, b) => b.path.length - a.path.length)[0];
}

/** Why the file (a path from the root, in src) may not have this import, or undefined when it may. */
export function objection(rooms: readonly Room[], importer: string, specifier: string): string | undefined {
  const from = roomAt(rooms, importer.replace(/^src\//, ''));
  if (from === undefined) return `${importer} is in no room of the table`;
  const target = targetOf(importer, specifier);
  if (target === undefined) return packageObjection(from.room, importer, specifier);

  const to = roomAt(rooms, target);
  if (to === undefined) return `${importer} imports ${specifier}, which is in no room of the table`;
  const inside = from.room === to.room;
  if (inside) {
    const here = importer.replace(/^src\//, '').replace(/[^/]*$/, '');
    const reachable = specifier.startsWith('#') && target.startsWith(here);
    return reachable ? `${importer} imports ${specifier} of its own room: write ./` : undefined;
  }
  if (!from.room.rooms.includes(to.path))
    return `${importer} imports ${specifier}: ${from.path} may not use ${to.path}`;
  return specifier.startsWith('#') ? undefined : `${importer} imports ${specifier} of another room: write #`;
}

function packageObjection(room: Room, importer: string, specifier: string): string | undefined {
  const name = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
  if (room.packages === undefined || room.packages.includes(name)) return undefined;
  return `${importer} imports ${specifier}: ${room.paths.join(', ')} may use ${room.packages.join(', ') || 'no package'}`;
}
