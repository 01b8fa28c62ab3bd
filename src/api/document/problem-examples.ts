/**
 * Problems as nodes have given them in the contract test, which writes this file (`npm run docs`) and sees that they still look
 * like this. As JSON text.
 */

export const PROBLEM_EXAMPLES: Readonly<Record<string, string>> = {
  'precondition-failed':
    '{"type":"urn:quoral:problem:precondition-failed","title":"A precondition does not hold","status":412,"detail":"If-Match: what is under the key has the ETag \\"1ead1454b6cb6aac\\"","field":"If-Match"}',
  'not-found':
    '{"type":"urn:quoral:problem:not-found","title":"There is nothing here","status":404,"detail":"there is no value under this key"}',
  conflict:
    '{"type":"urn:quoral:problem:conflict","title":"The request conflicts with the present state","status":409,"detail":"somebody else holds the lease","holder":"worker-7","expiresAt":"2026-01-01T00:00:30.414Z"}',
  'invalid-request':
    '{"type":"urn:quoral:problem:invalid-request","title":"The request is not valid","status":400,"detail":"X-Request-Id: must be 1-128 printable ASCII characters without spaces","field":"X-Request-Id"}',
  'not-implemented':
    '{"type":"urn:quoral:problem:not-implemented","title":"This is not built yet","status":501,"detail":"If-Unmodified-Since: conditions on dates are not built yet","field":"If-Unmodified-Since"}',
  unauthorized:
    '{"type":"urn:quoral:problem:unauthorized","title":"Credentials are needed","status":401,"detail":"Authorization: a token is needed, as \\"Bearer quoral_…\\"","field":"Authorization"}',
  forbidden:
    '{"type":"urn:quoral:problem:forbidden","title":"This is not allowed","status":403,"detail":"token figures lacks the scope read:carts"}',
  'not-ready':
    '{"type":"urn:quoral:problem:not-ready","title":"The node is not ready to serve","status":503,"detail":"epoch 7 is not confirmed yet","outcome":"not-applied"}',
  overloaded:
    '{"type":"urn:quoral:problem:overloaded","title":"Too many requests are under way","status":429,"detail":"too many requests are under way"}',
  'internal-error':
    '{"type":"urn:quoral:problem:internal-error","title":"The node has failed on this request","status":500,"detail":"see the log of this node for request n1-b0f73eda-1"}',
  'unsupported-media-type':
    '{"type":"urn:quoral:problem:unsupported-media-type","title":"The body has the wrong media type","status":415,"detail":"Content-Type: must be application/json and is \\"text/plain\\"","field":"Content-Type"}',
  'value-too-large':
    '{"type":"urn:quoral:problem:value-too-large","title":"The body is too large","status":413,"detail":"body: at most 100 bytes are allowed","field":"body"}',
  'request-timeout':
    '{"type":"urn:quoral:problem:request-timeout","title":"The request did not arrive in time","status":408,"detail":"body: did not arrive in time","field":"body"}',
  'quorum-unavailable':
    '{"type":"urn:quoral:problem:quorum-unavailable","title":"Too few replicas can be reached","status":503,"detail":"on purpose","needed":2,"got":1}',
  'quorum-timeout':
    '{"type":"urn:quoral:problem:quorum-timeout","title":"Too few replicas answered in time","status":504,"detail":"on purpose","needed":2,"got":1}',
  'session-not-met':
    '{"type":"urn:quoral:problem:session-not-met","title":"The session cannot be continued in time","status":504,"detail":"on purpose","needed":2,"got":1}',
  'disk-full':
    '{"type":"urn:quoral:problem:disk-full","title":"A disk is full","status":507,"detail":"on purpose","needed":2,"got":1,"outcome":"unknown"}',
  'idempotency-mismatch':
    '{"type":"urn:quoral:problem:idempotency-mismatch","title":"The idempotency key belongs to another request","status":422,"detail":"on purpose"}',
  'too-many-siblings':
    '{"type":"urn:quoral:problem:too-many-siblings","title":"The key has too many concurrent versions","status":409,"detail":"on purpose","needed":2,"got":1,"outcome":"unknown"}',
  'headers-too-large':
    '{"type":"urn:quoral:problem:headers-too-large","title":"The header fields are too large","status":431,"detail":"Quoral-Meta-* and Content-Encoding together: 9001 characters; at most 8192 are allowed","field":"Quoral-Meta-*"}',
  gone: '{"type":"urn:quoral:problem:gone","title":"This is no longer available","status":410,"detail":"what has changed since that cursor is not all remembered any more; list the bucket and watch from now on","field":"Last-Event-ID"}',
};
