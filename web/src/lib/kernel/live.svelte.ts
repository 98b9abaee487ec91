import { retryDelay } from './retry';

export type LiveState = 'off' | 'connecting' | 'open' | 'lost';
export interface LiveMessage {
  type: string;
  [key: string]: unknown;
}
type Listener = (message: LiveMessage) => void;

/** Close code for "you may not listen any more": trying again would only be refused again. */
export const permissionLost = 4003;
/** Nothing was heard of an attempt: give it up rather than wait for the network's own long limits. */
const openTimeout = 4000;

/** The one WebSocket over which changes reach the page. Listeners re-read their lists after every (re)connection. */
class Live {
  state = $state<LiveState>('off');
  lostAt = $state<number | null>(null);
  #socket: WebSocket | null = null;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #listeners = new Map<string, Set<Listener>>();
  #opened = new Set<() => void>();
  #everybody = false;

  constructor() {
    window.addEventListener('online', () => this.hurry());
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.hurry();
    });
  }

  on(type: string, listener: Listener): () => void {
    const all = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, all.add(listener));
    return () => all.delete(listener);
  }

  onOpen(listener: () => void): () => void {
    this.#opened.add(listener);
    return () => this.#opened.delete(listener);
  }

  start(): void {
    if (this.state !== 'off') return;
    this.state = 'connecting';
    this.#connect();
  }

  /** Whether to hear of other people's things too, for those who may. */
  hearEverybody(everybody: boolean): void {
    if (this.#everybody === everybody) return;
    this.#everybody = everybody;
    if (this.state !== 'open') return;
    this.stop();
    this.start();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.state = 'off';
    this.lostAt = null;
    this.#attempt = 0;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #connect(): void {
    clearTimeout(this.#timer);
    const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/api/live${this.#everybody ? '?all=true' : ''}`);
    this.#socket = socket;
    const patience = setTimeout(() => socket.close(), openTimeout);
    socket.onopen = () => {
      clearTimeout(patience);
      if (this.#socket !== socket) return;
      this.#attempt = 0;
      this.state = 'open';
      this.lostAt = null;
      for (const listener of this.#opened) listener();
    };
    socket.onmessage = (event: MessageEvent<string>) => this.#deliver(event.data);
    socket.onclose = (event) => {
      clearTimeout(patience);
      if (this.#socket !== socket) return;
      this.#socket = null;
      if (event.code === permissionLost) this.#announce({ type: 'signed_out' });
      if (this.state === 'off') return;
      this.lostAt ??= Date.now();
      this.state = 'lost';
      this.#attempt += 1;
      this.#timer = setTimeout(() => this.#connect(), retryDelay(this.#attempt));
    };
  }

  /** Something else found the portal answering again. */
  hurry(): void {
    if (this.state === 'lost' && !this.#socket) this.#connect();
  }

  #deliver(data: string): void {
    try {
      this.#announce(JSON.parse(data) as LiveMessage);
    } catch (error) {
      console.error('A live message could not be read', error);
    }
  }

  #announce(message: LiveMessage): void {
    for (const listener of this.#listeners.get(message.type) ?? []) listener(message);
  }
}

export const live = new Live();
