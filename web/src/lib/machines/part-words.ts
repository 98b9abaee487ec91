import { i18n } from '../kernel/i18n/index.svelte';
import { machineParts as en } from '../words/en/machine-parts';
import { machineParts as ko } from '../words/ko/machine-parts';

const all = { en, ko };

/** The words of what is opened later: the list of machines is there sooner without them. */
export function partWords(): typeof en {
  return all[i18n.language];
}
