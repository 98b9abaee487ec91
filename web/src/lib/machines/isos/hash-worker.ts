/** Reads a file through and tells its SHA-256, beside the page so that this stays quick. */
import { Sha256 } from './sha256';

export type HashNews = { read: number } | { hex: string } | { failed: string };

const part = 4 * 1024 ** 2;
const tell = (news: HashNews) => postMessage(news);

addEventListener('message', (event: MessageEvent<File>) => void read(event.data));

async function read(file: File) {
  const sum = new Sha256();
  try {
    for (let at = 0; at < file.size; at += part) {
      sum.add(new Uint8Array(await file.slice(at, at + part).arrayBuffer()));
      tell({ read: Math.min(file.size, at + part) });
    }
    tell({ hex: sum.hex() });
  } catch (error) {
    tell({ failed: String(error) });
  }
}
