import { loadEnv } from "vite";
import { defineConfig } from "vitest/config";

/** `npm run dev` passes the API on to a running wall: PANTAU_URL, as for the `pantau` command. */
const target = loadEnv("", ".", "PANTAU_").PANTAU_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  build: {
    outDir: "../static",
    emptyOutDir: true,
    target: "es2022",
    // The page's content security policy allows no data: scripts or styles; every asset is a file of its own.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // MapLibre is a file of its own, which is loaded when somebody opens the map.
    chunkSizeWarningLimit: 1300,
  },
  server: { proxy: { "/api": { target, ws: true } } },
  test: { include: ["test/**/*.test.ts"] },
});
