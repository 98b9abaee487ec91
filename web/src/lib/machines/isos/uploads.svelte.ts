import { problemOf, type Problem } from '../../kernel/problem';
import { retryDelay } from '../../kernel/retry';
import { machines } from '../machines.svelte';
import type { UploadState } from '../model';
import { hash, sendPart, uploadsApi } from './uploads-api';

export type Stage = 'hashing' | 'sending' | 'waiting' | 'checking' | 'done' | 'failed' | 'cancelled';

/** So much goes in one request: a broken connection costs no more. */
const partSize = 16 * 1024 ** 2;
/** What goes by itself in a moment: the portal is away, or still busy with the part before. */
const passing = new Set(['offline', 'upload_busy', 'offset_differs', 'database_busy', 'database_unavailable']);

/** One ISO on its way to the catalogue. */
export class Upload {
  stage = $state<Stage>('hashing');
  /** Bytes read, then bytes sent. */
  done = $state(0);
  problem = $state.raw<Problem | null>(null);
  /** Bytes a second, of this try. */
  rate = $state(0);
  #sum = '';
  #stop = new AbortController();

  constructor(
    readonly key: number,
    readonly file: File,
  ) {}

  get running(): boolean {
    return this.stage === 'hashing' || this.stage === 'sending' || this.stage === 'waiting' || this.stage === 'checking';
  }

  get share(): number {
    return this.file.size ? this.done / this.file.size : 0;
  }

  cancel(): void {
    this.#stop.abort(new DOMException('cancelled', 'AbortError'));
  }

  async run(): Promise<void> {
    this.#stop = new AbortController();
    this.problem = null;
    const { signal } = this.#stop;
    try {
      if (!this.#sum) {
        this.stage = 'hashing';
        this.done = 0;
        this.#sum = await hash(this.file, { signal, progress: (read) => (this.done = read) });
      }
      await this.#send(signal);
      this.stage = 'done';
    } catch (error) {
      if (signal.aborted) {
        this.stage = 'cancelled';
      } else {
        this.problem = problemOf(error);
        this.stage = 'failed';
      }
    }
  }

  /** Sends what is missing, and comes back after what passes. */
  async #send(signal: AbortSignal): Promise<void> {
    let attempt = 0;
    for (;;) {
      try {
        const begun = await uploadsApi.begin(this.file.name, this.file.size, this.#sum);
        this.stage = 'sending';
        await this.#parts(begun, signal, () => (attempt = 0));
        this.stage = 'checking';
        await uploadsApi.finish(begun.id);
        return;
      } catch (error) {
        if (signal.aborted || !passing.has(problemOf(error).code)) throw error;
        this.stage = 'waiting';
        attempt += 1;
        await pause(retryDelay(attempt), signal);
      }
    }
  }

  async #parts(begun: UploadState, signal: AbortSignal, moved: () => void): Promise<void> {
    let { offset } = begun;
    const from = offset;
    const began = performance.now();
    while (offset < this.file.size) {
      const at = offset;
      const progress = (sent: number) => {
        this.done = Math.min(this.file.size, at + sent);
        this.rate = (this.done - from) / Math.max(0.2, (performance.now() - began) / 1000);
      };
      progress(0);
      ({ offset } = await sendPart(begun.id, at, this.file.slice(at, at + partSize), { signal, progress }));
      moved();
    }
    this.done = this.file.size;
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

/** The ISOs that are sent from this page, one after the other. */
class Uploads {
  all = $state.raw<Upload[]>([]);
  /** Those that broke off before this page was opened. */
  broken = $state.raw<UploadState[]>([]);
  #next = 1;
  #queue: Promise<void> = Promise.resolve();
  busy = $derived(this.all.some((one) => one.running));

  constructor() {
    window.addEventListener('beforeunload', (event) => {
      if (this.busy) event.preventDefault();
    });
  }

  add(files: Iterable<File>): void {
    const added = [...files].map((file) => new Upload(this.#next++, file));
    this.all = [...this.all, ...added];
    for (const one of added) this.#go(one);
  }

  again(one: Upload): void {
    this.#go(one);
  }

  clear(): void {
    this.all = this.all.filter((one) => one.running);
  }

  /** Looks which of one's uploads wait to be gone on with. */
  async look(): Promise<void> {
    const list = await uploadsApi.list();
    const here = new Set(this.all.filter((one) => one.running).map((one) => one.file.name));
    this.broken = list.filter((one) => !here.has(one.name));
  }

  async forget(id: string): Promise<void> {
    await uploadsApi.forget(id);
    this.broken = this.broken.filter((one) => one.id !== id);
  }

  #go(one: Upload): void {
    this.broken = this.broken.filter((other) => other.name !== one.file.name);
    this.#queue = this.#queue.then(async () => {
      await one.run();
      await Promise.allSettled([machines.loadIsos(), this.look()]);
    });
  }
}

export const uploads = new Uploads();
