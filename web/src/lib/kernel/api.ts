import { clock } from './clock.svelte';
import { ApiError, problemFrom, type Problem } from './problem';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

interface Options {
  body?: unknown;
  /** The answer is text, not JSON. */
  plain?: boolean;
  /** A 401 is an answer to this request and not the end of the sign-in. */
  signsIn?: boolean;
  /** It still reaches the portal when the page is left at once; for small bodies (64 kB in all). */
  outlives?: boolean;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

/** What identity lends to every request; it sets these when it knows them. */
export const session = {
  csrfToken: '',
  language: 'en',
  signedOut: (): void => {},
  refreshToken: async (): Promise<boolean> => false,
};

/** One request to the portal. Throws ApiError for everything that is not a success, with a Problem to show. */
export async function api<T>(method: Method, path: string, options: Options = {}): Promise<T> {
  let response = await send(method, path, options);
  let problem = await problemIn(response);
  // The token changes when a sign-in is renewed in another tab; one fresh look settles it.
  if (problem?.code.startsWith('csrf') && (await session.refreshToken())) {
    response = await send(method, path, options);
    problem = await problemIn(response);
  }
  if (problem) {
    if (problem.status === 401 && problem.code !== 'wrong_credentials' && !options.signsIn) session.signedOut();
    throw new ApiError(problem);
  }
  if (response.status === 204) return undefined as T;
  if (options.plain) return (await response.text()) as T;
  return (await response.json()) as T;
}

async function send(method: Method, path: string, options: Options): Promise<Response> {
  const headers: Record<string, string> = { ...options.headers };
  headers.Accept = options.plain ? 'text/plain' : 'application/json';
  headers['Accept-Language'] = session.language;
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET' && session.csrfToken) headers['X-CSRF-Token'] = session.csrfToken;
  const body = options.body === undefined ? undefined : JSON.stringify(options.body);
  try {
    const { signal, outlives: keepalive } = options;
    const response = await fetch(path, { method, headers, body, signal, keepalive, cache: 'no-store' });
    clock.learn(response.headers.get('Date'));
    return response;
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(ownProblem(0, 'offline'));
  }
}

async function problemIn(response: Response): Promise<Problem | null> {
  if (response.ok) return null;
  try {
    return problemFrom(response.status, await response.json());
  } catch {
    // A reverse proxy in front answers with its own page when the portal is away.
    return ownProblem(response.status, response.status >= 502 ? 'offline' : 'unreadable');
  }
}

/** What the server said to a request that was not made by fetch. */
export function problemOfText(status: number, text: string): Problem {
  try {
    return problemFrom(status, JSON.parse(text));
  } catch {
    return ownProblem(status, status === 0 || status >= 502 ? 'offline' : 'unreadable');
  }
}

function ownProblem(status: number, code: string): Problem {
  return { ...problemFrom(status, {}), code };
}
