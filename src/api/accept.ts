/**
 * The choice between two forms of an answer (RFC 9110 section 12.5.1): siblings as multipart or as JSON, keys as JSON or line by line.
 */

/** Whether `Accept` likes `application/json` better than `multipart/mixed`, which is the form when it says nothing. */
export function prefersJson(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const json = preference(accept, 'application', 'json');
  const multipart = preference(accept, 'multipart', 'mixed');
  return (
    json.quality > multipart.quality ||
    (json.quality > 0 && json.quality === multipart.quality && json.precision > multipart.precision)
  );
}

/** Whether `Accept` names `application/x-ndjson`, and does not like `application/json` better. */
export function prefersLines(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const lines = preference(accept, 'application', 'x-ndjson');
  const json = preference(accept, 'application', 'json');
  return lines.precision === BY_NAME && lines.quality > 0 && lines.quality >= json.quality;
}

interface Preference {
  /** 0 for not wanted, up to 1. */
  readonly quality: number;
  /** 0 when not mentioned, 1 by a full wildcard, 2 by the type's wildcard, 3 by name. */
  readonly precision: number;
}

const BY_NAME = 3;

/** What the most precise range that fits says. */
function preference(accept: string, type: string, subtype: string): Preference {
  let best: Preference = { quality: 0, precision: 0 };
  for (const element of accept.toLowerCase().split(',')) {
    const [range, ...parameters] = element.split(';').map((part) => part.trim());
    const precision = range === `${type}/${subtype}` ? BY_NAME : range === `${type}/*` ? 2 : range === '*/*' ? 1 : 0;
    if (precision > best.precision) best = { quality: qualityOf(parameters), precision };
  }
  return best;
}

function qualityOf(parameters: readonly string[]): number {
  const text = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  const quality = text === undefined || text === '' ? 1 : Number(text);
  return quality >= 0 && quality <= 1 ? quality : 1;
}
