/** The WebSocket to a screen. It is opened before noVNC is there to use it, so it keeps what comes until then. */
export interface OpenScreen {
  socket: WebSocket;
  /** How long the opening took. */
  milliseconds: number;
  /** To be called once somebody else hears the socket: they are told what has come so far. */
  handOver: () => void;
}

/** A socket that nobody has taken is closed after so long. */
const aheadPatience = 3000;
const ahead = new Map<string, Promise<OpenScreen>>();

/** Rejects with the close code: a refusal before the opening looks like 1006 to a page. */
function openScreen(url: string, patience = 5000): Promise<OpenScreen> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const early: unknown[] = [];
    const keep = (event: MessageEvent) => early.push(event.data);
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('message', keep);
    const timer = setTimeout(() => socket.close(), patience);
    const handOver = () => {
      socket.removeEventListener('message', keep);
      for (const data of early.splice(0)) socket.dispatchEvent(new MessageEvent('message', { data }));
    };
    socket.onopen = () => {
      clearTimeout(timer);
      resolve({ socket, milliseconds: performance.now() - began, handOver });
    };
    socket.onclose = (event) => {
      clearTimeout(timer);
      reject(event.code);
    };
  });
}

/** Opens the way to a screen whose view is still being made. */
export function openAhead(url: string): void {
  const opening = openScreen(url);
  ahead.set(url, opening);
  const forget = () => {
    if (ahead.get(url) !== opening) return;
    ahead.delete(url);
    void opening.then(({ socket }) => socket.close(), () => undefined);
  };
  opening.catch(() => undefined);
  setTimeout(forget, aheadPatience);
}

/** The one that was opened ahead, else a new one. */
export function takeScreen(url: string): Promise<OpenScreen> {
  const opening = ahead.get(url) ?? openScreen(url);
  ahead.delete(url);
  // Whoever takes it may look at it a little later.
  opening.catch(() => undefined);
  return opening;
}
