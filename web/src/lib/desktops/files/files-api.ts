import { api, problemOfText, session as login } from '../../kernel/api';
import { ApiError } from '../../kernel/problem';
import { of } from '../desktops-api';

export interface Entry {
  name: string;
  kind: 'file' | 'folder' | 'link' | 'other';
  size: number | null;
  /** Epoch seconds, or ISO. */
  modified: number | string | null;
}

export interface Listing {
  /** Absolute. */
  folder: string;
  entries: Entry[];
  truncated: boolean;
}

export interface Stored {
  name: string;
  path: string;
  size: number;
}

const query = (said: Record<string, string>) => new URLSearchParams(said).toString();

export const filesApi = {
  list: (id: string, path: string) => api<Listing>('GET', of(id, `/files?${query({ path })}`)),
  contentUrl: (id: string, path: string) => of(id, `/files/content?${query({ path })}`),
};

/**
 * Sends one file; resolves when it is stored. Throws ApiError, or the signal's reason when it is cancelled.
 * By XMLHttpRequest, because fetch tells no progress.
 */
export function upload(
  id: string,
  folder: string,
  file: File,
  options: { signal: AbortSignal; progress: (sent: number) => void },
): Promise<Stored> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', of(id, `/files/content?${query({ folder, name: file.name })}`));
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.setRequestHeader('Accept', 'application/json');
    request.setRequestHeader('Accept-Language', login.language);
    if (login.csrfToken) request.setRequestHeader('X-CSRF-Token', login.csrfToken);
    request.upload.onprogress = (event) => options.progress(event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText) as Stored);
      else reject(new ApiError(problemOfText(request.status, request.responseText)));
    };
    request.onerror = () => reject(new ApiError(problemOfText(0, '')));
    request.onabort = () => reject(options.signal.reason);
    options.signal.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}
