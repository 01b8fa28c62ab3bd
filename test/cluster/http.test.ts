/**
 * What users of the HTTP API are promised, tried from outside: three real processes, real sockets, nothing of the program
 * imported. One cluster serves the whole suite; what harms it comes last.
 */

import { afterAll, beforeAll } from 'vitest';
import { batchTests } from './http/batches.ts';
import { bucketTests } from './http/buckets.ts';
import { conditionTests } from './http/conditions.ts';
import { documentTests } from './http/document.ts';
import { expiryTests } from './http/expiry.ts';
import { healthTests } from './http/health.ts';
import { keyTests } from './http/keys.ts';
import { levelTests } from './http/levels.ts';
import { listingTests } from './http/listing.ts';
import { outageTests } from './http/outages.ts';
import { protocolTests } from './http/protocol.ts';
import { retryTests } from './http/retries.ts';
import { sessionTests } from './http/sessions.ts';
import { siblingTests } from './http/siblings.ts';
import { closeSite, openSite } from './http/site.ts';
import { strongTests } from './http/strong.ts';
import { typeTests } from './http/types.ts';
import { valueTests } from './http/values.ts';
import { watchTests } from './http/watches.ts';
import { writeTests } from './http/writes.ts';

beforeAll(openSite);
afterAll(closeSite);

keyTests();
valueTests();
writeTests();
siblingTests();
conditionTests();
retryTests();
levelTests();
sessionTests();
expiryTests();
strongTests();
listingTests();
typeTests();
batchTests();
watchTests();
bucketTests();
protocolTests();
healthTests();
documentTests();
outageTests();
