import { i18n } from '../../kernel/i18n/index.svelte';
import { hosts as en } from '../../words/en/hosts';
import { hosts as ko } from '../../words/ko/hosts';

const all = { en, ko };

/** The words of this page, which come with it: most people never see them. */
export function hostWords(): typeof en {
  return all[i18n.language];
}
