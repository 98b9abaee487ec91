/** How much room a host has for disks, in words. */
import type { Language } from '../kernel/i18n/languages';
import { machines } from './machines.svelte';
import { size } from './size';
import type { MachineWords } from './words';

/** "50 GB are free in the pool."; '' where that is not known. */
export function freeWords(host: string, words: MachineWords, language: Language): string {
  const free = machines.options?.hosts.find((one) => one.name === host)?.pool?.free;
  return free === undefined ? '' : words.new.free(size(free, language));
}
