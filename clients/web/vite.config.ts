import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const SERVER = "http://127.0.0.1:50070";

export default defineConfig({
  plugins: [react()],
  base: "./",
  // One copy of each: the TypeScript client beside this folder has packages of its own.
  resolve: { dedupe: ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-web"] },
  build: {
    target: "es2022",
    // Nothing is inlined as data: the page's Content-Security-Policy allows files of its own origin only.
    assetsInlineLimit: 0,
    license: { fileName: "LICENSES.md" },
  },
  server: {
    host: "127.0.0.1",
    port: 5173,
    // The server refuses calls of other origins, so they get its own.
    proxy: { "^/(sonichaos\\.|readiness\\.json)": { target: SERVER, changeOrigin: true, headers: { origin: SERVER } } },
  },
});
