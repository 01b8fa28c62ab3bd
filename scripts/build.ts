/**
 * Makes dist, what the published package runs: Node.js does not read TypeScript below node_modules.
 *
 * Each file of src is copied with its types blanked out, so lines and columns in stack traces stay those of the source;
 * whatever is not TypeScript is copied as it is. `./x.ts` becomes `./x.js`. For `#room/x.ts` dist gets a package.json of
 * its own, whose `imports` lead to the files in dist, as the checkout's package.json leads to the sources.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');

rmSync(dist, { recursive: true, force: true });
for (const entry of readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || entry.name.endsWith('.d.ts')) continue;
  const source = join(entry.parentPath, entry.name);
  const target = join(dist, source.slice(join(root, 'src').length));
  mkdirSync(dirname(target), { recursive: true });
  if (!entry.name.endsWith('.ts')) writeFileSync(target, readFileSync(source));
  else writeFileSync(target.replace(/\.ts$/, '.js'), compile(readFileSync(source, 'utf8')));
}
const scope = { type: 'module', imports: { '#*.ts': './*.js' } };
writeFileSync(join(dist, 'package.json'), `${JSON.stringify(scope, null, 2)}\n`);

function compile(source: string): string {
  return stripTypeScriptTypes(source).replaceAll(/((?:from|import)\s*\(?\s*)'(\.{1,2}\/[^']+)\.ts'/g, "$1'$2.js'");
}
