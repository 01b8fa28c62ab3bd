/**
 * An operation on a data type, or a touch, as a positional array: its kind, then what it needs.
 */

import { DATA_TYPES, type KeyOperation, type Operation } from '#causality/data-type.ts';
import { MalformedMessage } from '#wire/message.ts';
import { asArray, asInteger, asListOf, asString } from '#wire/shape.ts';
import { MAX_MESSAGE_BYTES } from '#world/limits.ts';

/** Maps within each other: an operation that is nested more deeply is refused. */
export const MAP_DEPTH_MAX = 8;
/** More than a request has room for. */
const VALUES_MAX = 4 * 1024 * 1024;

export function operationToWire(operation: KeyOperation): unknown {
  switch (operation.kind) {
    case 'increment':
      return [operation.kind, operation.by];
    case 'add':
    case 'remove':
      return [operation.kind, operation.values];
    case 'assign':
      return [operation.kind, operation.value];
    case 'enable':
    case 'disable':
    case 'touch':
      return [operation.kind];
    case 'update':
      return [operation.kind, operation.field, operation.type, operationToWire(operation.with)];
    case 'remove-field':
      return [operation.kind, operation.field];
  }
}

/** @throws MalformedMessage */
export function operationFromWire(body: unknown): KeyOperation {
  return asArray(body, 1, 'operation')[0] === 'touch' ? { kind: 'touch' } : typeOperationFromWire(body, MAP_DEPTH_MAX);
}

function typeOperationFromWire(body: unknown, depth: number): Operation {
  const fields = asArray(body, 1, 'operation');
  const kind = asString(fields[0], 'operation', 32);
  switch (kind) {
    case 'increment':
      return { kind, by: asInteger(fields[1], 'by', Number.MIN_SAFE_INTEGER) };
    case 'add':
    case 'remove':
      return { kind, values: asListOf(fields[1], 'values', VALUES_MAX, (value) => asText(value, 'value')) };
    case 'assign':
      return { kind, value: asText(fields[1], 'value') };
    case 'enable':
    case 'disable':
      return { kind };
    case 'remove-field':
      return { kind, field: asText(fields[1], 'field') };
    case 'update': {
      const type = DATA_TYPES.find((known) => known === fields[2]);
      if (type === undefined || depth === 0) throw new MalformedMessage(`operation in a field of ${String(fields[2])}`);
      return { kind, field: asText(fields[1], 'field'), type, with: typeOperationFromWire(fields[3], depth - 1) };
    }
    default:
      throw new MalformedMessage(`operation ${JSON.stringify(kind)}`);
  }
}

function asText(value: unknown, what: string): string {
  return asString(value, what, MAX_MESSAGE_BYTES);
}
