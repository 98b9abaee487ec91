import { api, problemOfText, session as login } from '../../kernel/api';
import { ApiError } from '../../kernel/problem';
import type { Iso, UploadState } from '../model';
import type { HashNews } from './hash-worker';

const base = '/api/isos/uploads';
const of = (id: string, what = '') => `${base}/${encodeURIComponent(id)}${what}`;

export const uploadsApi = {
  /** One's own that are on their way. */
  list: () => api<UploadState[]>('GET', base),
  /** Of the same file again it tells how much of it is there. */
  begin: (name: string, size: number, sha256: string) => api<UploadState>('POST', base, { body: { name, size, sha256 } }),
  finish: (id: string) => api<Iso>('POST', of(id, '/finish')),
  forget: (id: string) => api<void>('DELETE', of(id)),
};

/** The SHA-256 of a file. Throws the signal's reason when it is cancelled. */
export function hash(file: File, options: { signal: AbortSignal; progress: (read: number) => void }): Promise<string> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./hash-worker.ts', import.meta.url), { type: 'module' });
    const end = (say: () => void) => {
      worker.terminate();
      say();
    };
    worker.onmessage = (event: MessageEvent<HashNews>) => {
      const news = event.data;
      if ('read' in news) options.progress(news.read);
      else if ('hex' in news) end(() => resolve(news.hex));
      else end(() => reject(new Error(news.failed)));
    };
    worker.onerror = (event) => end(() => reject(new Error(event.message)));
    options.signal.addEventListener('abort', () => end(() => reject(options.signal.reason)));
    worker.postMessage(file);
  });
}

/**
 * Sends the bytes of a part; resolves with where to go on. Throws ApiError, or the signal's reason when it is cancelled.
 * By XMLHttpRequest, because fetch tells no progress.
 */
export function sendPart(
  id: string,
  offset: number,
  part: Blob,
  options: { signal: AbortSignal; progress: (sent: number) => void },
): Promise<UploadState> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', of(id, `?offset=${offset}`));
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.setRequestHeader('Accept', 'application/json');
    request.setRequestHeader('Accept-Language', login.language);
    if (login.csrfToken) request.setRequestHeader('X-CSRF-Token', login.csrfToken);
    const stop = () => request.abort();
    request.upload.onprogress = (event) => options.progress(event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText) as UploadState);
      else reject(new ApiError(problemOfText(request.status, request.responseText)));
    };
    request.onerror = () => reject(new ApiError(problemOfText(0, '')));
    request.onabort = () => reject(options.signal.reason);
    request.onloadend = () => options.signal.removeEventListener('abort', stop);
    options.signal.addEventListener('abort', stop);
    request.send(part);
  });
}
