import CirclePause from '@lucide/svelte/icons/circle-pause';
import Copy from '@lucide/svelte/icons/copy';
import CopyPlus from '@lucide/svelte/icons/copy-plus';
import Disc3 from '@lucide/svelte/icons/disc-3';
import Eject from '@lucide/svelte/icons/eject';
import Link from '@lucide/svelte/icons/link';
import Pencil from '@lucide/svelte/icons/pencil';
import Play from '@lucide/svelte/icons/play';
import Power from '@lucide/svelte/icons/power';
import PowerOff from '@lucide/svelte/icons/power-off';
import RefreshCcwDot from '@lucide/svelte/icons/refresh-ccw-dot';
import RotateCw from '@lucide/svelte/icons/rotate-cw';
import Share2 from '@lucide/svelte/icons/share-2';
import Shield from '@lucide/svelte/icons/shield';
import ShieldOff from '@lucide/svelte/icons/shield-off';
import SquareTerminal from '@lucide/svelte/icons/square-terminal';
import Trash2 from '@lucide/svelte/icons/trash-2';
import Unlink from '@lucide/svelte/icons/unlink';
import type { Component } from 'svelte';
import { copyText } from '../kernel/copy';
import { i18n } from '../kernel/i18n/index.svelte';
import { notices } from '../kernel/notices.svelte';
import { router } from '../kernel/router.svelte';
import type { MenuAction, MenuGroup } from '../kernel/ui/Menu.svelte';
import { myself } from '../identity/me.svelte';
import { act, dialog, doings, eject } from './actions.svelte';
import { machinesApi } from './machines-api';
import { machines } from './machines.svelte';
import { hasMedium, isHard, powerActs, type Act, type Machine } from './model';
import type { MachineWords } from './words';

export const actIcons: Record<Act, Component<{ size?: number }>> = {
  start: Play,
  shut_down: Power,
  restart: RotateCw,
  pause: CirclePause,
  resume: Play,
  reset: RefreshCcwDot,
  force_off: PowerOff,
};

export function powerGroup(machine: Machine, words: MachineWords, but?: Act): MenuGroup[] {
  if (!machines.mayOperate(machine)) return [];
  const actions = powerActs(machine)
    .filter((name) => name !== but)
    .map((name): MenuAction => ({
      label: words.acts[name],
      icon: actIcons[name],
      danger: isHard(name),
      run: () => act(machine, name),
    }));
  return actions.length ? [{ label: words.power, actions }] : [];
}

export function mediaGroup(machine: Machine, words: MachineWords): MenuGroup[] {
  if (!machine.current_media.length || !machines.mayOperate(machine)) return [];
  const actions: MenuAction[] = [{ label: words.boot.insertIso, icon: Disc3, run: () => dialog.show('insert', machine) }];
  if (hasMedium(machine)) actions.push({ label: words.media.eject, icon: Eject, run: () => void eject(machine) });
  return [{ label: words.media.title, actions }];
}

/** What can be done with a machine besides its first action and its console, in groups. */
export function machineGroups(machine: Machine, words: MachineWords, but?: Act): MenuGroup[] {
  const know: MenuAction[] = [{ label: words.about.copyLink, icon: Link, run: () => void copyLink(machine, words) }];
  if (machines.mayOpen(machine))
    know.unshift({ label: words.toSerial, icon: SquareTerminal, run: () => router.go(`/machines/${machine.id}/serial`) });
  const groups = [...powerGroup(machine, words, but), ...mediaGroup(machine, words)];
  if (!machines.mayManage(machine)) return [...groups, { actions: know }];
  const about: MenuAction[] = [
    { label: words.about.edit, icon: Pencil, run: () => dialog.show('describe', machine) },
    { label: words.toShare, icon: Share2, run: () => dialog.show('share', machine) },
    machine.protected
      ? { label: words.about.unprotect, icon: ShieldOff, run: () => void protect(machine, false, words) }
      : { label: words.about.protect, icon: Shield, run: () => void protect(machine, true, words) },
  ];
  const gone: MenuAction[] = [
    { label: words.remove.menu, icon: Trash2, danger: true, run: () => dialog.show('remove', machine) },
  ];
  return [...groups, { actions: [...copyActions(machine, words), ...know] }, { actions: about }, { actions: gone }];
}

function copyActions(machine: Machine, words: MachineWords): MenuAction[] {
  const { copies } = words;
  const set = (template: boolean) =>
    void doings.run(machine, 'about', () => machinesApi.setTemplate(machine.id, template));
  const actions: MenuAction[] = [];
  if (machine.template) {
    actions.push({ label: copies.clone, icon: CopyPlus, run: () => dialog.show('clone', machine) });
    if (machine.everybody || myself.may('machines.manage'))
      actions.push({
        label: machine.everybody ? copies.offerNo : copies.offer,
        icon: machine.everybody ? Unlink : Share2,
        run: () => void offer(machine, !machine.everybody, words),
      });
    actions.push({ label: copies.noTemplate, icon: Copy, run: () => set(false) });
  } else if (machine.state === 'shut_off') {
    actions.push({ label: copies.makeTemplate, icon: Copy, run: () => set(true) });
  }
  if (machine.linked)
    actions.push({
      label: copies.flatten,
      icon: Unlink,
      run: () => void doings.run(machine, 'disk', () => machinesApi.flatten(machine.id)),
    });
  return actions;
}

async function offer(machine: Machine, everybody: boolean, words: MachineWords): Promise<void> {
  const done = await doings.run(machine, 'about', () => machinesApi.setTemplate(machine.id, true, everybody));
  if (done) notices.say(everybody ? words.copies.offered(machine.name) : words.copies.offeredNo(machine.name));
}

export async function protect(machine: Machine, now: boolean, words: MachineWords): Promise<void> {
  const done = await doings.run(machine, 'about', () => machinesApi.describe(machine.id, { protected: now }));
  if (done) notices.say(now ? words.about.nowProtected(machine.name) : words.about.nowUnprotected(machine.name));
}

async function copyLink(machine: Machine, words: MachineWords): Promise<void> {
  const copied = await copyText(`${location.origin}/machines/${machine.id}`);
  notices.say(copied ? words.about.linkCopied : i18n.t.actions.copyFailed, copied ? 'good' : 'bad');
}
