/** An ISO in a few words. Pure: the words come in. */
import type { Language } from '../../kernel/i18n/languages';
import type { Iso } from '../model';
import { size } from '../size';
import type { MachineWords } from '../words';

/** "4.2 GB", "boots with BIOS", "Debian 12.5.0 amd64". */
export function isoFacts(iso: Iso, words: MachineWords, language: Language): string[] {
  if (!iso.readable) return [size(iso.size, language), words.media.unreadable];
  return [size(iso.size, language), ...bootFacts(iso, words), iso.label].filter(Boolean);
}

export function bootFacts(iso: Iso, words: MachineWords): string[] {
  return iso.boots.length ? iso.boots.map((firmware) => words.media.boots[firmware] ?? firmware) : [words.media.bootsNot];
}
