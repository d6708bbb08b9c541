// What works in Node.js and in browsers alike. Messages, services and enumerations are under `@sonichaos/client/gen/`.

export { type CallError, callError, type FieldViolation } from "./call_error.js";
export { forService, type ServiceName, separationAddress } from "./service_address.js";
export { type WatchOptions, watchJob } from "./watch_job.js";
export { entryOfZip, rangeOf } from "./zip_entry.js";
