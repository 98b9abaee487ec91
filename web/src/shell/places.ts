import Layers from '@lucide/svelte/icons/layers';
import LayoutGrid from '@lucide/svelte/icons/layout-grid';
import ScrollText from '@lucide/svelte/icons/scroll-text';
import Server from '@lucide/svelte/icons/server';
import ServerCog from '@lucide/svelte/icons/server-cog';
import UserRound from '@lucide/svelte/icons/user-round';
import UsersRound from '@lucide/svelte/icons/users-round';
import type { Component } from 'svelte';
import type { Messages } from '../lib/words/en';
import { myself } from '../lib/identity/me.svelte';

export interface Place {
  path: string;
  label: (t: Messages) => string;
  icon: Component<{ size?: number }>;
  group: 'main' | 'site' | 'mine';
  load: () => Promise<{ default: Component }>;
  offered: () => boolean;
  /** It has parts of its own, with addresses below its own. */
  deep?: boolean;
}

/** The places of the page, once: the rail, the palette and the addresses all come from here. */
export const places: Place[] = [
  {
    path: '/desktops',
    label: (t) => t.nav.desktops,
    icon: LayoutGrid,
    group: 'main',
    load: () => import('../lib/desktops/DesktopsPage.svelte'),
    offered: () => myself.offers('vnc') && myself.may('desktops.use'),
  },
  {
    path: '/machines',
    label: (t) => t.nav.machines,
    icon: Server,
    group: 'main',
    load: () => import('../lib/machines/MachinesPage.svelte'),
    offered: () => myself.offers('machines') && myself.may('machines.use'),
    deep: true,
  },
  {
    path: '/site/desktops',
    label: (t) => t.nav.siteDesktops,
    icon: Layers,
    group: 'site',
    load: () => import('../lib/desktops/operators/OperatorsPage.svelte'),
    offered: () => myself.offers('vnc') && myself.may('desktops.manage'),
    deep: true,
  },
  {
    path: '/site/machines',
    label: (t) => t.nav.machineHosts,
    icon: ServerCog,
    group: 'site',
    load: () => import('../lib/machines/hosts/HostsPage.svelte'),
    offered: () => myself.offers('machines') && myself.may('machines.see_all'),
  },
  {
    path: '/people',
    label: (t) => t.nav.people,
    icon: UsersRound,
    group: 'site',
    load: () => import('../lib/identity/people/PeoplePage.svelte'),
    offered: () => myself.may('people.manage'),
  },
  {
    path: '/audit',
    label: (t) => t.nav.audit,
    icon: ScrollText,
    group: 'site',
    load: () => import('../lib/identity/people/AuditPage.svelte'),
    offered: () => myself.may('audit.read'),
  },
  {
    path: '/account',
    label: (t) => t.nav.account,
    icon: UserRound,
    group: 'mine',
    load: () => import('../lib/identity/account/AccountPage.svelte'),
    offered: () => true,
  },
];

export function placeAt(path: string): Place | undefined {
  return places.find((place) => place.path === path || (place.deep && path.startsWith(`${place.path}/`)));
}

/** A desktop that an operator looks at with its owner's consent. */
export function lookOf(path: string): { id: string; view: string } | null {
  const found = /^\/desktops\/([^/]+)\/look\/([^/]+)\/?$/.exec(path);
  return found?.[1] && found[2] ? { id: decodeURIComponent(found[1]), view: decodeURIComponent(found[2]) } : null;
}

export function desktopIdOf(path: string): string | null {
  const found = /^\/desktops\/([^/]+)\/?$/.exec(path)?.[1];
  return found ? decodeURIComponent(found) : null;
}

/** A machine that is shown in the whole window: its screen, or its serial port. */
export function consoleOf(path: string): { id: string; of: 'console' | 'serial' } | null {
  const found = /^\/machines\/([^/]+)\/(console|serial)\/?$/.exec(path);
  return found?.[1] ? { id: decodeURIComponent(found[1]), of: found[2] as 'console' | 'serial' } : null;
}

/** One function each: two imports in one expression are bundled with the styles of the second alone. */
const consoles = {
  console: () => import('../lib/machines/console/ConsoleView.svelte'),
  serial: () => import('../lib/machines/serial/SerialView.svelte'),
};

export function loadConsole(of: 'console' | 'serial') {
  return consoles[of]();
}
