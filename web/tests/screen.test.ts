import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { levels } from '../src/lib/screen/levels';
import { openAhead, takeScreen } from '../src/lib/screen/socket';

/** As much of a browser's WebSocket as is used. */
class Socket extends EventTarget {
  static made: Socket[] = [];
  binaryType = '';
  closed = false;
  onopen: () => void = () => undefined;
  onclose: (event: { code: number }) => void = () => undefined;

  constructor(readonly url: string) {
    super();
    Socket.made.push(this);
  }

  close(): void {
    this.closed = true;
    this.onclose({ code: 1006 });
  }

  say(data: string): void {
    this.dispatchEvent(new MessageEvent('message', { data }));
  }
}

const only = (): Socket => {
  expect(Socket.made).toHaveLength(1);
  return Socket.made[0] as Socket;
};

beforeEach(() => {
  Socket.made = [];
  vi.stubGlobal('WebSocket', Socket);
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('the way to a screen', () => {
  it('opened ahead is the one that is taken, once', async () => {
    openAhead('ws://a');
    only().onopen();
    expect((await takeScreen('ws://a')).socket).toBe(only());
    void takeScreen('ws://a');
    expect(Socket.made).toHaveLength(2);
  });

  it('loses nothing of what comes before somebody hears it, and tells it in order', async () => {
    const opening = takeScreen('ws://a');
    only().onopen();
    const { socket, handOver } = await opening;
    only().say('one');
    only().say('two');
    const heard: unknown[] = [];
    socket.addEventListener('message', (event) => heard.push(event.data));
    handOver();
    only().say('three');
    expect(heard).toEqual(['one', 'two', 'three']);
  });

  it('is closed when nobody takes it', async () => {
    openAhead('ws://a');
    only().onopen();
    await vi.advanceTimersByTimeAsync(3100);
    expect(only().closed).toBe(true);
    void takeScreen('ws://a');
    expect(Socket.made).toHaveLength(2);
  });

  it('stays open when it was taken', async () => {
    openAhead('ws://a');
    only().onopen();
    await takeScreen('ws://a');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(only().closed).toBe(false);
  });

  it('says the code of a refusal, and gives up in time', async () => {
    const refused = takeScreen('ws://a');
    only().onclose({ code: 1008 });
    await expect(refused).rejects.toBe(1008);
    const silent = takeScreen('ws://b');
    await vi.advanceTimersByTimeAsync(5100);
    await expect(silent).rejects.toBe(1006);
  });
});

describe('the first picture', () => {
  it('comes in less quality where the connection is quick, and as asked for where somebody chose', () => {
    expect(levels('auto', 20, true).quality).toBeLessThan(levels('auto', 20).quality);
    expect(levels('sharp', 20, true)).toEqual(levels('sharp', 20));
    expect(levels('fast', 20, true)).toEqual(levels('fast', 20));
    expect(levels('auto', 400, true)).toEqual(levels('auto', 400));
  });
});
