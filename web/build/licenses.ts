import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

const modules = join(import.meta.dirname, '../node_modules');
/** Carried as files, so no chunk names them. */
const besides = ['pretendard', 'swagger-ui-dist'];

/** Writes the licences of what the build carries to `assets/licenses.txt`, as those licences ask for. */
export function licenses(): Plugin {
  return {
    name: 'madang-licenses',
    apply: 'build',
    generateBundle(_options, bundle) {
      const names = new Set(besides);
      for (const file of Object.values(bundle)) {
        if (file.type !== 'chunk') continue;
        for (const id of file.moduleIds) {
          const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(id)?.[1];
          if (name) names.add(name);
        }
      }
      const texts = [...names].sort().map(licenseOf);
      this.emitFile({ type: 'asset', fileName: 'assets/licenses.txt', source: texts.join(`\n${'-'.repeat(80)}\n\n`) });
    },
  };
}

function licenseOf(name: string): string {
  const about = JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8')) as Record<string, string>;
  const path = ['', 'dist']
    .map((folder) => join(modules, name, folder))
    .flatMap((folder) => files(folder).map((file) => join(folder, file)))
    .find((file) => /\/licen[cs]e[^/]*$/i.test(file));
  const text = path ? readFileSync(path, 'utf8').trim() : `License: ${about.license}`;
  return `${name} ${about.version}\n\n${text}\n`;
}

function files(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
