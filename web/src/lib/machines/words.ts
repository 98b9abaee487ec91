import { i18n } from '../kernel/i18n/index.svelte';
import { machines as en } from '../words/en/machines';
import { machines as ko } from '../words/ko/machines';

const all = { en, ko };
export type MachineWords = typeof en;

/** The words of machines, which come with their pages: not everybody has machines. */
export function machineWords(): MachineWords {
  return all[i18n.language];
}
