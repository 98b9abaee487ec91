import { live } from '../../kernel/live.svelte';
import { retryDelay } from '../../kernel/retry';
import { machinesApi } from '../machines-api';
import { machines } from '../machines.svelte';
import { isOn } from '../model';
import { Terminal } from './terminal';

/** The connection to a machine's serial port, which comes back whatever happens, and what was heard on it. */
export class SerialLine {
  state = $state<'off' | 'connecting' | 'open' | 'lost'>('connecting');
  /** Counts what was heard, so that what is shown follows. */
  heard = $state(0);
  readonly terminal = new Terminal();
  #socket: WebSocket | null = null;
  #stopped = false;
  #wake: () => void = () => {};
  #encoder = new TextEncoder();
  #hush: () => void;

  constructor(readonly id: string) {
    this.#hush = live.on('machines.machine', () => this.#wake());
    void this.#run();
  }

  send(text: string): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(this.#encoder.encode(text));
  }

  stop(): void {
    this.#stopped = true;
    this.#hush();
    this.#socket?.close();
    this.#wake();
  }

  async #run(): Promise<void> {
    let attempt = 0;
    while (!this.#stopped) {
      const machine = machines.byId(this.id);
      if (machine && !isOn(machine)) {
        this.state = 'off';
        attempt = 0;
        await this.#pause(2000);
        continue;
      }
      if (await this.#hold()) attempt = 0;
      attempt += 1;
      if (!this.#stopped) await this.#pause(retryDelay(attempt));
    }
  }

  /** Lives with one connection until it closes; whether it was open. */
  #hold(): Promise<boolean> {
    const decoder = new TextDecoder();
    const socket = (this.#socket = new WebSocket(machinesApi.serialUrl(this.id), 'binary'));
    socket.binaryType = 'arraybuffer';
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.state = 'open';
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer>) => {
      this.terminal.write(decoder.decode(event.data, { stream: true }));
      this.heard += 1;
    };
    return new Promise((resolve) => {
      socket.onclose = () => {
        this.#socket = null;
        if (this.state !== 'off') this.state = opened ? 'lost' : this.state;
        resolve(opened);
      };
    });
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
