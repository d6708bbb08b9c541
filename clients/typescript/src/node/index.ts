// Connections and downloads of Node.js.

export {
  type Connection,
  type ConnectOptions,
  type Credentials,
  connect,
  credentialsFromEnvironment,
  DEFAULT_SESSION,
} from "./credentials.js";
export { fetchEntry, fetchFile } from "./fetch_file.js";
