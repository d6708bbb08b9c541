// Connections and downloads of browsers: gRPC-Web through a proxy such as Envoy, and `fetch`.

export { connect, type WebOptions } from "./connect.js";
export { fetchEntry } from "./fetch_entry.js";
