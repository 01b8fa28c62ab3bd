/**
 * How the page of the API looks: by the reader's light or dark, on a phone as on a desk, with nothing that has to be loaded.
 */

export const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #56606f; --page: #fff; --box: #f4f6f9; --line: #d5dbe4;
  --link: #0b57b0; --get: #0b6b3a; --put: #8a4b00; --post: #0b57b0; --delete: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #a3adbb; --page: #14181f; --box: #1d232d;
  --line: #36404e; --link: #8ab8ff; --get: #6fd39b; --put: #f0b264; --post: #8ab8ff; --delete: #ff8f85; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0 auto; padding: 1rem clamp(1rem, 4vw, 2.5rem) 4rem; max-width: 64rem; color: var(--ink);
  background: var(--page); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.8rem; margin: .5rem 0 0; }
h2 { margin: 3rem 0 .25rem; padding-bottom: .25rem; border-bottom: 2px solid var(--line); }
h3 { margin: 0; font-size: 1.05rem; font-weight: 600; }
h4 { margin: 1.25rem 0 .35rem; font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); }
p { margin: .4rem 0; max-width: 46rem; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, pre:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: .2rem; }
code, pre, .path { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; font-size: .9em; }
pre { margin: .35rem 0; padding: .75rem; overflow-x: auto; background: var(--page); border: 1px solid var(--line); border-radius: .4rem; }
.soft { color: var(--soft); }
.skip { position: absolute; left: -99rem; }
.skip:focus { position: static; }
nav ul { list-style: none; margin: .25rem 0 .75rem; padding: 0; }
nav li { padding: .1rem 0; }
nav > div { break-inside: avoid; padding-top: .75rem; }
@media (min-width: 48rem) { nav { columns: 2; column-gap: 2.5rem; } }
details.operation { margin: .75rem 0; background: var(--box); border: 1px solid var(--line); border-radius: .5rem; }
details.operation > summary { padding: .7rem .9rem; cursor: pointer; }
details.operation > div { padding: 0 .9rem .9rem; scroll-margin-top: 5rem; }
summary h3 { display: inline; }
summary .soft { display: block; margin: .15rem 0 0 1.1rem; }
.method { font-weight: 700; }
.get { color: var(--get); } .put { color: var(--put); } .post { color: var(--post); } .delete { color: var(--delete); }
dl { margin: 0; }
dt { margin-top: .55rem; }
dd { margin: 0 0 0 1.1rem; }
.status { font-weight: 700; }
details.more > summary { cursor: pointer; color: var(--link); }
@media print { details > * { display: block; } }
`;
