import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

const path = join(import.meta.dirname, '../src/boot/theme.js');

/** Puts the theme script into the head as a file of its own: it must run before the first paint, and the content
 * security policy forbids inline scripts. */
export function themeScript(): Plugin {
  const content = readFileSync(path);
  const digest = createHash('sha256').update(content).digest('hex').slice(0, 8);
  const fileName = `assets/theme-${digest}.js`;
  let building = false;
  return {
    name: 'madang-theme-script',
    configResolved(config) {
      building = config.command === 'build';
    },
    generateBundle() {
      this.emitFile({ type: 'asset', fileName, source: content });
    },
    transformIndexHtml() {
      const src = building ? `/${fileName}` : '/src/boot/theme.js';
      return [{ tag: 'script', attrs: { src }, injectTo: 'head-prepend' }];
    },
  };
}
