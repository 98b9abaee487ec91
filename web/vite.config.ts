import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { apiDocs } from './build/api-docs.ts';
import { licenses } from './build/licenses.ts';
import { themeScript } from './build/theme-script.ts';

const portal = process.env.MADANG_PORTAL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  base: '/',
  plugins: [svelte(), themeScript(), apiDocs(), licenses()],
  build: {
    outDir: '../src/madang/page',
    emptyOutDir: true,
    target: 'es2022',
    // Every asset is a file of its own: fonts and pictures as data: addresses would load with the first screen.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 400,
    rolldownOptions: {
      output: {
        // Few files rather than many small ones: each is a request of its own, and most come with every screen.
        codeSplitting: {
          includeDependenciesRecursively: false,
          groups: [
            { name: 'svelte', test: /node_modules\/(svelte|esm-env|clsx)\// },
            { name: 'icons', test: /node_modules\/@lucide\// },
            { name: 'kernel', test: /src\/lib\/kernel\/(?!ui\/(Dialog|Confirm|MenuBody))/ },
          ],
        },
      },
    },
  },
  server: {
    proxy: {
      '/api': { target: portal, ws: true },
      '/vncproxy': { target: portal, ws: true },
      '/machines/console/': { target: portal, ws: true },
      '/machines/serial/': { target: portal, ws: true },
    },
  },
  test: { include: ['tests/**/*.test.ts'] },
});
