import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import type { Plugin } from 'vite';

const swagger = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const source = join(import.meta.dirname, '../src/boot');

/** Swagger UI for /api/docs, carried in the build so that it needs no network: `api-docs.html` and its files. */
export function apiDocs(): Plugin {
  return {
    name: 'madang-api-docs',
    apply: 'build',
    generateBundle() {
      // The server lets browsers keep assets/ for ever, so the names carry a digest of the content.
      const emit = (path: string, name: string): string => {
        const content = readFileSync(join(path, name));
        const digest = createHash('sha256').update(content).digest('hex').slice(0, 8);
        const suffix = extname(name);
        const fileName = `assets/api-docs/${name.slice(0, -suffix.length)}-${digest}${suffix}`;
        this.emitFile({ type: 'asset', fileName, source: content });
        return `/${fileName}`;
      };
      const page = readFileSync(join(source, 'api-docs.html'), 'utf8')
        .replace('{style}', emit(swagger, 'swagger-ui.css'))
        .replace('{bundle}', emit(swagger, 'swagger-ui-bundle.js'))
        .replace('{init}', emit(source, 'api-docs.js'));
      this.emitFile({ type: 'asset', fileName: 'api-docs.html', source: page });
    },
  };
}
