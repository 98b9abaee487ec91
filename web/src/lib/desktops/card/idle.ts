import { duration } from '../../kernel/format';
import type { Language } from '../../kernel/i18n/languages';
import type { Messages } from '../../words/en';
import type { Pulse } from '../model';

/** "in use", or for how long nobody touched it; empty when nobody knows. */
export function idleWords(pulse: Pulse | null, words: Messages['desktops'], language: Language): string {
  if (pulse?.idle_seconds == null) return '';
  if (pulse.idle_seconds < 60) return words.inUse;
  return words.idleFor(duration(Math.floor(pulse.idle_seconds / 60) * 60, language));
}
