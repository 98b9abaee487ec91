/** Facts of machines in words. Pure: the words come in. */
import { isOn, type Machine, type ShownOrder } from './model';
import type { MachineWords } from './words';

/** What it booted from, while it runs; else what the next start takes. */
export function bootWords(machine: Machine, words: MachineWords): string {
  if (isOn(machine) && machine.current_boot_device) return words.bootedFrom(words.devices[machine.current_boot_device]);
  if (machine.next_boot) return words.boot.onceNext(orderWords(machine.next_boot.boot_order, words));
  return orderWords(machine.boot_order, words);
}

/** A boot order, also one that is none of ours. */
export function orderWords(order: ShownOrder, words: MachineWords): string {
  return order === 'other' ? words.orderOther : words.orders[order];
}

/** The names of what is in the drives. */
export function mediumWords(machine: Pick<Machine, 'current_media'>): string {
  return machine.current_media.flatMap((medium) => (medium.iso ? [medium.iso] : [])).join(', ');
}

/** "CD drive 1" for the first drive, by its target. */
export function driveWords(machine: Pick<Machine, 'current_media'>, target: string | undefined, words: MachineWords): string {
  const place = machine.current_media.findIndex((medium) => medium.target === target);
  return words.media.drive(Math.max(0, place) + 1);
}
