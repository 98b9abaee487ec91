import Cable from '@lucide/svelte/icons/cable';
import ClockPlus from '@lucide/svelte/icons/clock-plus';
import Folder from '@lucide/svelte/icons/folder';
import Info from '@lucide/svelte/icons/info';
import Link from '@lucide/svelte/icons/link';
import Pencil from '@lucide/svelte/icons/pencil';
import ScrollText from '@lucide/svelte/icons/scroll-text';
import Share2 from '@lucide/svelte/icons/share-2';
import Wrench from '@lucide/svelte/icons/wrench';
import type { MenuAction, MenuGroup } from '../kernel/ui/Menu.svelte';
import type { Messages } from '../words/en';
import { copyLink, dialog, type DialogName } from './actions.svelte';
import { isWanted, type Session } from './model';
import { canExtend } from './time/extension';

/** What can be done with a session now besides opening and ending it, in groups. */
export function sessionActions(session: Session, t: Messages, inView = false): MenuGroup[] {
  const words = t.desktops;
  const more = t.using;
  const open = (name: DialogName, label: string, icon: MenuAction['icon']): MenuAction => ({
    label,
    icon,
    run: () => dialog.show(name, session),
  });
  const { features } = session;
  const use = [
    canExtend(session) && open('extend', more.time.extendMenu, ClockPlus),
    isWanted(session) && session.state !== 'waiting' && open('share', more.share.action, Share2),
    features?.files && open('files', more.files.action, Folder),
    features?.native && open('native', more.native.action, Cable),
    features?.repair && session.state === 'ready' && open('repair', more.repair.action, Wrench),
  ];
  const know = [
    open('describe', more.describe.action, Pencil),
    open('log', words.log, ScrollText),
    open('details', words.details, Info),
    !inView && { label: words.copyLink, icon: Link, run: () => void copyLink(session) },
  ];
  return [use, know]
    .map((actions) => ({ actions: actions.filter((action): action is MenuAction => Boolean(action)) }))
    .filter((group) => group.actions.length > 0);
}
