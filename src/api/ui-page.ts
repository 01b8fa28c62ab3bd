/**
 * `/ui/`: one page on which people look at the cluster and at single keys. Everything is in the page, and its policy lets it load
 * nothing, run nothing but its own script, and ask nobody but the node that it came from.
 */

import { toBase64 } from '#kernel/base64.ts';
import { utf8 } from '#kernel/bytes.ts';
import type { Answer, Exchange } from './exchange.ts';

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #56606f; --page: #fff; --box: #f4f6f9; --line: #d5dbe4;
  --link: #0b57b0; --good: #0b6b3a; --mind: #8a5300; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #a3adbb; --page: #14181f; --box: #1d232d;
  --line: #36404e; --link: #8ab8ff; --good: #6fd39b; --mind: #f0b95b; --bad: #ff8f85; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem clamp(1rem, 4vw, 2.5rem) 4rem; max-width: 72rem; color: var(--ink);
  background: var(--page); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: .5rem 0 0; }
h2 { margin: 2rem 0 .5rem; font-size: 1.15rem; border-bottom: 2px solid var(--line); }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.soft { color: var(--soft); } .good { color: var(--good); }
.mind { color: var(--mind); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: normal; font-weight: 400; }
thead th { color: var(--soft); font-size: .85rem; }
tbody th { font-weight: 600; }
progress { width: 7rem; height: .7rem; accent-color: var(--link); }
form { padding: .9rem; background: var(--box); border: 1px solid var(--line); border-radius: .5rem; }
label { display: block; margin-top: .5rem; color: var(--soft); font-size: .85rem; }
input, textarea { width: 100%; max-width: 34rem; padding: .4rem .5rem; font: inherit; color: var(--ink); background: var(--page);
  border: 1px solid var(--line); border-radius: .3rem; }
button { margin: .75rem .5rem 0 0; padding: .4rem .9rem; font: inherit; color: var(--ink); background: var(--page);
  border: 1px solid var(--soft); border-radius: .3rem; cursor: pointer; }
pre { padding: .75rem; max-height: 24rem; overflow: auto; background: var(--box); border: 1px solid var(--line);
  border-radius: .4rem; white-space: pre-wrap; }
`;

function pageOf(script: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Quoral</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Quoral <span id="self"></span></h1>
<p class="soft">This node <span id="state" role="status">is being asked</span>. <a href="/docs">The HTTP API</a></p>
</header>
<main>
<section><h2>Members</h2><div id="cluster" class="wide"></div></section>
<section><h2>Ring change</h2><div id="transfers"></div></section>
<section><h2>Health</h2><div id="health" class="wide"></div></section>
<section><h2>Requests of this node</h2><div id="figures"></div></section>
<section><h2>A key</h2>
<form id="keys">
<label for="bucket">Bucket</label><input id="bucket" required maxlength="255" autocomplete="off" spellcheck="false">
<label for="key">Key</label><input id="key" required autocomplete="off" spellcheck="false">
<label for="value">New value, for Put; it replaces what was read here, and stands beside what was not</label>
<textarea id="value" rows="3" spellcheck="false"></textarea>
<div><button value="read">Read</button><button value="explain">Explain</button><button value="put">Put</button><button value="delete">Delete</button></div>
</form>
<div id="answer" class="wide" role="status"></div>
</section>
<section><h2>Access</h2>
<form id="access">
<label for="token">Bearer token, where the cluster wants one</label>
<input id="token" type="password" autocomplete="off">
<div><button>Use it</button></div>
<p id="access-said" role="status"></p>
</form>
</section>
</main>
<noscript>This page asks the node with a script. <a href="/docs">The HTTP API</a> needs none.</noscript>
<script>${script}</script>
</body>
</html>
`;
}

/** The page, made when it is first asked for. */
export function uiHandler(): (exchange: Exchange) => Promise<Answer> {
  let served: Answer | undefined;
  return async ({ services }) => (served ??= madeOf(services));
}

function madeOf({ sha256, uiScript }: Pick<Exchange['services'], 'sha256' | 'uiScript'>): Answer {
  const script = uiScript();
  const digestOf = (text: string): string => `'sha256-${toBase64(sha256(utf8(text)))}'`;
  const policy =
    `default-src 'none'; script-src ${digestOf(script)}; style-src ${digestOf(STYLE)}; connect-src 'self'; ` +
    `base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  return {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'content-security-policy': policy,
    },
    body: utf8(pageOf(script)),
  };
}
