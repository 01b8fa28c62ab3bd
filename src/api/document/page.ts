/**
 * The description as one page for people: made from the document alone, without a script, readable without a network.
 */

import { present } from '#kernel/assert.ts';
import { formOf, type Schema } from '#kernel/json-schema.ts';
import type { DocumentedOperation, DocumentedParameter, OpenApiDocument } from './openapi.ts';
import { STYLE } from './page-style.ts';

interface Entry {
  readonly method: string;
  readonly path: string;
  readonly operation: DocumentedOperation;
  /** Whether HEAD goes there too. */
  readonly head: boolean;
}

export function pageOf(document: OpenApiDocument): string {
  const { info, tags } = document;
  const entries = entriesOf(document);
  const groups = tags.map((tag) => ({
    ...tag,
    entries: entries.filter(({ operation }) => operation.tags[0] === tag.name),
  }));
  const contents = groups.map(
    ({ name, entries: own }) =>
      `<div><strong><a href="#${anchor(name)}">${escaped(name)}</a></strong>\n<ul>${own.map(link).join('')}</ul></div>`,
  );
  const sections = groups.map(
    ({ name, description, entries: own }) =>
      `<section>\n<h2 id="${anchor(name)}">${escaped(name)}</h2>\n<p>${prose(description)}</p>\n` +
      `${own.map((entry) => operationHtml(document, entry)).join('\n')}\n</section>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(info.title)}: the HTTP API</title>
<style>${STYLE}</style>
</head>
<body>
<a class="skip" href="#content">Skip the list of operations</a>
<header>
<h1>${escaped(info.title)}: the HTTP API</h1>
<p class="soft">Version ${escaped(info.version)}. For programs: <a href="/openapi.json">openapi.json</a>.</p>
${paragraphs(info.description)}
</header>
<nav aria-label="Operations">
${contents.join('\n')}
<div><strong><a href="#shapes">Shapes of JSON</a></strong></div>
</nav>
<main id="content">
${sections.join('\n')}
${shapesHtml(document)}
</main>
</body>
</html>
`;
}

function entriesOf({ paths }: OpenApiDocument): readonly Entry[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => method !== 'head')
      .map(([method, operation]) => ({ method, path, operation, head: method === 'get' })),
  );
}

function link({ method, path, operation }: Entry): string {
  return `<li><a href="#${operation.operationId}"><span class="method ${method}">${method.toUpperCase()}</span> <span class="path">${pathHtml(path)}</span></a></li>`;
}

/** The id is inside: whoever follows a link to what is folded away gets it unfolded. */
function operationHtml(document: OpenApiDocument, { method, path, operation, head }: Entry): string {
  const { operationId, summary, description, requestBody, responses } = operation;
  const parts = [
    description === '' ? '' : `<p>${prose(description)}</p>`,
    parametersHtml(document, operation),
    requestBody === undefined ? '' : bodyHtml(document, requestBody),
    `<h4>Answers</h4>\n<dl>${Object.entries(responses)
      .map(([status, response]) => answerHtml(document, status, response))
      .join('\n')}</dl>`,
  ];
  return `<details class="operation">
<summary><h3><span class="method ${method}">${method.toUpperCase()}${head ? ', HEAD' : ''}</span> <span class="path">${pathHtml(path)}</span></h3> <span class="soft">${prose(summary)}</span></summary>
<div id="${operationId}">
${parts.filter((part) => part !== '').join('\n')}
</div>
</details>`;
}

function parametersHtml(document: OpenApiDocument, { parameters }: DocumentedOperation): string {
  const resolved = parameters.map(({ $ref }) =>
    present(document.components.parameters[$ref.slice('#/components/parameters/'.length)], $ref),
  );
  return (['path', 'query', 'header'] as const)
    .map((where) => {
      const own = resolved.filter((parameter) => parameter.in === where);
      if (own.length === 0) return '';
      const title = { path: 'In the path', query: 'Query parameters', header: 'Headers' }[where];
      return `<h4>${title}</h4>\n<dl>${own.map(parameterHtml).join('\n')}</dl>`;
    })
    .join('\n');
}

function parameterHtml({ name, in: where, required, description, schema }: DocumentedParameter): string {
  const fallback = schema.default === undefined ? '' : `; default ${JSON.stringify(schema.default)}`;
  const must = required && where !== 'path' ? '; must be given' : '';
  return `<dt><code>${escaped(name)}</code> <span class="soft">${escaped(formOf(schema))}${escaped(fallback)}${must}</span></dt><dd>${prose(description)}</dd>`;
}

function bodyHtml(
  document: OpenApiDocument,
  { description, content }: NonNullable<DocumentedOperation['requestBody']>,
): string {
  const media = Object.entries(content).map(
    ([type, { schema, example }]) =>
      `<p><code>${escaped(type)}</code></p>${membersHtml(document, schema)}${example === undefined ? '' : exampleHtml(example)}`,
  );
  return `<h4>Body</h4>\n<p>${prose(description)}</p>\n${media.join('\n')}`;
}

function answerHtml(
  document: OpenApiDocument,
  status: string,
  response: DocumentedOperation['responses'][string],
): string {
  const headers = Object.keys(response.headers).map((name) => `<code>${escaped(name)}</code>`);
  const media = Object.entries(response.content ?? {}).map(([type, { schema, example, examples = {} }]) => {
    const shape = schema.$ref === undefined ? '' : `: ${shapeLink(schema.$ref)}`;
    const all = [
      ...(example === undefined ? [] : [example]),
      ...Object.values(examples).map(
        ({ $ref }) => document.components.examples[$ref.slice('#/components/examples/'.length)]?.value,
      ),
    ];
    const shown =
      all.length === 0
        ? ''
        : `<details class="more"><summary>Example${all.length > 1 ? 's' : ''}</summary>${all.map(exampleHtml).join('')}</details>`;
    return `<p><code>${escaped(type)}</code>${shape}</p>${shown}`;
  });
  return `<dt><span class="status">${status}</span></dt><dd><p>${prose(response.description)}</p>
<p class="soft">With ${headers.join(', ')}.</p>${media.join('')}</dd>`;
}

function shapesHtml({ components }: OpenApiDocument): string {
  const shapes = Object.entries(components.schemas).map(
    ([name, schema]) =>
      `<details class="operation"><summary><h3>${escaped(name)}</h3></summary><div id="shape-${name}">${shapeHtml(schema)}</div></details>`,
  );
  return `<section>\n<h2 id="shapes">Shapes of JSON</h2>\n${shapes.join('\n')}\n</section>`;
}

function membersHtml({ components }: OpenApiDocument, schema: Schema): string {
  const name = schema.$ref?.slice('#/components/schemas/'.length);
  return name === undefined ? shapeHtml(schema) : shapeHtml(present(components.schemas[name], name));
}

/** The members of an object, and of what is inside them. */
function shapeHtml(schema: Schema): string {
  if (schema.items !== undefined) return shapeHtml(schema.items);
  const members = Object.entries(schema.properties ?? {});
  if (members.length === 0) return '';
  const rows = members.map(([name, member]) => {
    const optional = schema.required?.includes(name) === true ? '' : '; may be missing';
    const fallback = member.default === undefined ? '' : `; default ${JSON.stringify(member.default)}`;
    const meaning = member.description === undefined ? '' : prose(member.description);
    return `<dt><code>${escaped(name)}</code> <span class="soft">${typeHtml(member)}${escaped(fallback)}${optional}</span></dt><dd>${meaning}${shapeHtml(member)}</dd>`;
  });
  return `<dl>${rows.join('\n')}</dl>`;
}

function typeHtml(schema: Schema): string {
  if (schema.$ref !== undefined) return shapeLink(schema.$ref);
  if (schema.type === 'array') return `a list, each ${typeHtml(schema.items ?? {})}`;
  if (schema.type === 'object') return 'an object';
  return escaped(formOf(schema));
}

function shapeLink(reference: string): string {
  const name = reference.slice('#/components/schemas/'.length);
  return `<a href="#shape-${name}">${escaped(name)}</a>`;
}

function exampleHtml(example: unknown): string {
  const text = typeof example === 'string' ? example : JSON.stringify(example, null, 2);
  return `<pre tabindex="0">${escaped(text)}</pre>`;
}

/** A long path may break after its slashes. */
function pathHtml(path: string): string {
  return escaped(path).replaceAll('/', '/<wbr>');
}

function paragraphs(text: string): string {
  return text
    .split('\n\n')
    .map((paragraph) => `<p>${prose(paragraph)}</p>`)
    .join('\n');
}

/** Text with `code` in it. */
function prose(text: string): string {
  return escaped(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function anchor(name: string): string {
  return name.toLowerCase().replaceAll(' ', '-');
}
