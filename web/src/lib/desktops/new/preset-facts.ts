/** What a preset gives, in a few words each. Pure. */
import { bytes, duration } from '../../kernel/format';
import type { Language } from '../../kernel/i18n/languages';
import type { Messages } from '../../words/en';
import type { PresetOffer } from '../model';

type Words = Messages['using']['presets'];
export type Facts = Pick<PresetOffer, 'cpus' | 'memory_bytes' | 'gpus' | 'partition'>;

/** "4 cores", "16 GB of memory", "2 GPUs (a100)", "partition viz". */
export function resourceFacts(facts: Facts, words: Words, language: Language): string[] {
  const { number, kind } = gpusOf(facts.gpus);
  return [
    facts.cpus ? words.cpus(facts.cpus) : '',
    facts.memory_bytes ? words.memory(bytes(facts.memory_bytes, language)) : '',
    number ? words.gpus(number, kind && ` (${kind})`) : '',
    facts.partition ? words.partition(facts.partition) : '',
  ].filter(Boolean);
}

export function presetFacts(preset: PresetOffer, words: Words, language: Language): string[] {
  return [
    ...resourceFacts(preset, words, language),
    preset.launcher === 'local' ? words.here : '',
    words.time(duration(preset.time_limit_seconds, language)),
    preset.idle_stop_seconds ? words.idle(duration(preset.idle_stop_seconds, language)) : '',
    preset.native ? words.native : '',
  ].filter(Boolean);
}

/** "2" or "a100:2", as Slurm writes it. */
export function gpusOf(said: string): { number: number; kind: string } {
  const [kind, number] = said.includes(':') ? said.split(':') : ['', said];
  return { number: Number(number) || 0, kind: kind ?? '' };
}
