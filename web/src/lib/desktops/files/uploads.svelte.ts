import { problemOf, type Problem } from '../../kernel/problem';
import { sessions } from '../sessions.svelte';
import { upload, type Stored } from './files-api';

export type UploadState = 'queued' | 'sending' | 'storing' | 'done' | 'failed' | 'cancelled' | 'too-large';

/** One file on its way to a desktop. */
export class Upload {
  state = $state<UploadState>('queued');
  sent = $state(0);
  stored = $state.raw<Stored | null>(null);
  problem = $state.raw<Problem | null>(null);
  #stop = new AbortController();

  constructor(
    readonly key: number,
    readonly session: string,
    readonly folder: string,
    readonly file: File,
  ) {}

  get running(): boolean {
    return this.state === 'queued' || this.state === 'sending' || this.state === 'storing';
  }

  cancel(): void {
    if (this.state === 'queued') this.state = 'cancelled';
    this.#stop.abort();
  }

  again(): void {
    this.#stop = new AbortController();
    this.problem = null;
    this.sent = 0;
    this.state = 'queued';
  }

  async run(most: number | undefined): Promise<void> {
    if (most !== undefined && this.file.size > most) {
      this.state = 'too-large';
      return;
    }
    this.state = 'sending';
    const { signal } = this.#stop;
    try {
      this.stored = await upload(this.session, this.folder, this.file, {
        signal,
        progress: (sent) => {
          this.sent = sent;
          // All is sent; the desktop's machine still has to keep it.
          if (sent >= this.file.size) this.state = 'storing';
        },
      });
      this.state = 'done';
    } catch (error) {
      if (signal.aborted) {
        this.state = 'cancelled';
      } else {
        this.problem = problemOf(error);
        this.state = 'failed';
      }
    }
  }
}

/** The files that are sent to desktops, a few at a time, in the order in which they were given. */
class Uploads {
  all = $state.raw<Upload[]>([]);
  /** Counts what arrived, so that a list of the folder can be read anew. */
  arrived = $state(0);
  #next = 1;
  #running = 0;
  readonly #atOnce = 2;
  busy = $derived(this.all.some((one) => one.running));

  constructor() {
    window.addEventListener('beforeunload', (event) => {
      if (this.busy) event.preventDefault();
    });
  }

  of(session: string): Upload[] {
    return this.all.filter((one) => one.session === session);
  }

  add(session: string, folder: string, files: Iterable<File>): void {
    const added = [...files].map((file) => new Upload(this.#next++, session, folder, file));
    this.all = [...this.all, ...added];
    this.#go();
  }

  again(one: Upload): void {
    one.again();
    this.#go();
  }

  clear(session: string): void {
    this.all = this.all.filter((one) => one.session !== session || one.running);
  }

  #go(): void {
    while (this.#running < this.#atOnce) {
      const next = this.all.find((one) => one.state === 'queued');
      if (!next) return;
      this.#running += 1;
      void next.run(sessions.options?.largest_upload_bytes).finally(() => {
        this.#running -= 1;
        if (next.state === 'done') this.arrived += 1;
        this.#go();
      });
    }
  }
}

export const uploads = new Uploads();
