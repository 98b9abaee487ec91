/** Paths of a desktop's machine. Pure. */

export interface Crumb {
  name: string;
  path: string;
}

export function join(folder: string, name: string): string {
  return folder.endsWith('/') ? folder + name : `${folder}/${name}`;
}

export function parent(folder: string): string {
  const cut = folder.replace(/\/+$/, '').lastIndexOf('/');
  return cut <= 0 ? '/' : folder.slice(0, cut);
}

/** Every folder from the root to this one. */
export function crumbs(folder: string): Crumb[] {
  const names = folder.split('/').filter(Boolean);
  return [{ name: '/', path: '/' }, ...names.map((name, index) => ({ name, path: `/${names.slice(0, index + 1).join('/')}` }))];
}
