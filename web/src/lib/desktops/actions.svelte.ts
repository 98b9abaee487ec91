import { copyText } from '../kernel/copy';
import { i18n } from '../kernel/i18n/index.svelte';
import { notices } from '../kernel/notices.svelte';
import type { Session } from './model';

export type DialogName = 'end' | 'describe' | 'extend' | 'share' | 'files' | 'repair' | 'native' | 'log' | 'details';

/** Which dialog is open about which session; drawn once, by SessionDialogs. */
class OpenDialog {
  name = $state<DialogName | null>(null);
  sessionId = $state('');

  show(name: DialogName, session: Session): void {
    this.name = name;
    this.sessionId = session.id;
  }

  close(): void {
    this.name = null;
  }
}

export const dialog = new OpenDialog();

export async function copyLink(session: Session): Promise<void> {
  const copied = await copyText(`${location.origin}/desktops/${session.id}`);
  notices.say(copied ? i18n.t.desktops.linkCopied : i18n.t.actions.copyFailed, copied ? 'good' : 'bad');
}
