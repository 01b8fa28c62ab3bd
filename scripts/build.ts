/**
 * Makes dist, what the published package runs: Node.js does not read TypeScript below node_modules.
 *
 * Each file of src is copied with its types blanked out, so lines and columns in stack traces stay those of the source;
 * whatever is not TypeScript is copied as it is. `./x.ts` becomes `./x.js`, and `#room/x.ts` the relative path to it, since a
 * browser that loads the client from here knows no `#`. What is loaded by path at run time (`import.meta.resolve('#…')`) finds its
 * way by a package.json of dist, whose `imports` lead to the files in dist, as the checkout's lead to the sources.
 *
 * The client's declarations come from tsc, for the programs that import `quoral/client`.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative } from 'node:path';
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
  else writeFileSync(target.replace(/\.ts$/, '.js'), compiled(readFileSync(source, 'utf8'), target));
}
declareClient();
const scope = { type: 'module', imports: { '#*.ts': './*.js' } };
writeFileSync(join(dist, 'package.json'), `${JSON.stringify(scope, null, 2)}\n`);

function compiled(source: string, target: string): string {
  return leadingToDist(stripTypeScriptTypes(source), target);
}

function leadingToDist(text: string, target: string): string {
  return text
    .replaceAll(/((?:from|import)\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+)\.ts\2/g, '$1$2$3.js$2')
    .replaceAll(
      /((?:from|import)\s*\(?\s*)(['"])#([^'"]+)\.ts\2/g,
      (_, before: string, quote: string, path: string) => {
        const to = relative(dirname(target), join(dist, `${path}.js`)).replaceAll('\\', '/');
        return `${before}${quote}${to.startsWith('.') ? to : `./${to}`}${quote}`;
      },
    );
}

function declareClient(): void {
  const options = [
    '--noEmit',
    'false',
    '--declaration',
    '--emitDeclarationOnly',
    '--rootDir',
    'src',
    '--outDir',
    'dist',
  ];
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const args = [tsc, '-p', 'tsconfig.client.json', ...options];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith('.d.ts')) continue;
    const file = join(entry.parentPath, entry.name);
    writeFileSync(file, leadingToDist(readFileSync(file, 'utf8'), file));
  }
}
