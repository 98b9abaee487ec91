/** Where we are. Addresses are real paths; the server answers each with the same page. */
class Router {
  path = $state(location.pathname);
  search = $state(location.search);

  constructor() {
    window.addEventListener('popstate', () => this.#read());
    document.addEventListener('click', (event) => this.#follow(event));
  }

  go(to: string, options: { replace?: boolean } = {}): void {
    if (to === location.pathname + location.search) return;
    history[options.replace ? 'replaceState' : 'pushState'](null, '', to);
    this.#read();
    if (!options.replace) window.scrollTo(0, 0);
  }

  /** The person's way back, or a place that makes sense when there is none. */
  back(fallback: string): void {
    if (history.length > 1 && document.referrer === '') history.back();
    else this.go(fallback);
  }

  #read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }

  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    const link = (event.target as Element | null)?.closest('a[href]');
    if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute('download')) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || url.pathname.startsWith('/api/') || url.pathname.startsWith('/assets/')) return;
    event.preventDefault();
    this.go(url.pathname + url.search);
  }
}

export const router = new Router();

/** A path of this page to return to after the sign-in; never an address elsewhere. */
export function safeReturn(path: string | null): string {
  if (!path || !path.startsWith('/') || path.startsWith('//') || path.includes('\\')) return '/desktops';
  if (path.startsWith('/sign-in') || path.startsWith('/welcome')) return '/desktops';
  return path;
}
