import { i18n } from '../../kernel/i18n/index.svelte';
import { operators as en } from '../../words/en/operators';
import { operators as ko } from '../../words/ko/operators';

const all = { en, ko };

/** The words of these pages, which come with them: most people never see them. */
export function operatorsWords(): typeof en {
  return all[i18n.language];
}
