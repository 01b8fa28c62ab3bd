/** The door of `quoral/client`: everything that a program imports, and nothing else. */

export { bytes, json, text, type Codec } from './codec.ts';
export { connect, Quoral, type ConnectOptions, type Properties } from './quoral.ts';
export { Bucket, type BucketOptions, type Written } from './bucket.ts';
export { Entry, Sibling, type Resolve } from './entry.ts';
export { Lease, type LeaseWish } from './lease.ts';
export {
  Counters,
  Flags,
  Maps,
  Registers,
  Sets,
  type DataType,
  type DataView,
  type Json,
  type MapValue,
  type OperationOptions,
  type Operations,
} from './data-types.ts';
export {
  QuoralError,
  type ClientCode,
  type ErrorCode,
  type ErrorFacts,
  type NodeCode,
  type Outcome,
} from './errors.ts';
export type { Happened, Replicas } from './answer.ts';
export type { Definition } from './directory.ts';
export type { ListOptions, Page } from './listing.ts';
export type { Change, WatchOptions } from './watch.ts';
export type {
  ChangeOptions,
  Common,
  Consistency,
  Count,
  DeleteOptions,
  Follows,
  PutOptions,
  ReadOptions,
  TouchOptions,
} from './requests.ts';
export type { RetrySettings } from './retry.ts';
export type { Fetch } from './runtime.ts';
