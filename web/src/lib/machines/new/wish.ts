/** What the form for a new machine begins with, what is wrong in it, and what is asked for. Pure. */
import type { Language } from '../../kernel/i18n/languages';
import { type BootOrder, type Firmware, type Host, type Iso, type NewMachine, type Options, type Range } from '../model';
import { gigabyte, megabyte, size } from '../size';
import type { MachineWords } from '../words';

/** As the fields hold it: sizes in gigabytes. An emptied number field holds null. */
export interface Form {
  name: string;
  notes: string;
  iso: string;
  second: string;
  cpus: number | null;
  memory: number | null;
  disk: number | null;
  order: BootOrder;
  firmware: Firmware;
  network: string;
  host: string;
  start: boolean;
}
export type Errors = Partial<Record<keyof Form, string>>;

/** The names of the portal's own fields, where they differ. */
export const fieldNames: Partial<Record<keyof Form, keyof NewMachine>> = {
  iso: 'iso_path',
  second: 'second_iso_path',
  memory: 'memory_bytes',
  disk: 'disk_bytes',
  order: 'boot_order',
};

export function firstForm(options: Options, isos: Iso[]): Form {
  const bootable = isos.filter((iso) => iso.readable && iso.boots.length > 0);
  return {
    name: '',
    notes: '',
    // With one to choose there is nothing to ask.
    iso: bootable.length === 1 ? (bootable[0]?.path ?? '') : '',
    second: '',
    cpus: options.cpus.default,
    memory: inGigabytes(options.memory_bytes.default),
    disk: inGigabytes(options.disk_bytes.default),
    order: options.default_boot_order,
    firmware: options.firmwares[0] ?? 'bios',
    network: options.networks[0] ?? '',
    host: '',
    start: true,
  };
}

/** Where there is most room, or the host that was chosen. */
export function hostOf(form: Pick<Form, 'host'>, hosts: Host[]): Host | undefined {
  if (form.host) return hosts.find((host) => host.name === form.host);
  const able = hosts.filter((host) => host.connected && host.pool);
  return able.sort((one, other) => (other.pool?.free ?? 0) - (one.pool?.free ?? 0))[0];
}

export function errorsOf(form: Form, options: Options, words: MachineWords, language: Language): Errors {
  const say = words.new;
  const errors: Errors = {};
  if (!form.name.trim()) errors.name = say.nameMissing;
  const numbers: [keyof Form & ('cpus' | 'memory' | 'disk'), Range, number][] = [
    ['cpus', options.cpus, 1],
    ['memory', options.memory_bytes, gigabyte],
    ['disk', options.disk_bytes, gigabyte],
  ];
  for (const [field, range, unit] of numbers) {
    const wrong = numberError(form[field], range, unit, words, language);
    if (wrong) errors[field] = wrong;
  }
  const total = hostOf(form, options.hosts)?.pool?.total;
  if (!errors.disk && total !== undefined && (form.disk ?? 0) * gigabyte > total) errors.disk = say.tooLarge(size(total, language));
  return errors;
}

/** What is wrong with a number in a field, of so many bytes (1: a count); '' when it is right. */
export function numberError(value: number | null, range: Range, unit: number, words: MachineWords, language: Language): string {
  const shown = (amount: number) => (unit === 1 ? String(amount) : size(amount, language));
  if (value === null || !Number.isFinite(value) || value * unit < range.least || value * unit > range.most)
    return words.new.range(shown(range.least), shown(range.most));
  return unit === 1 && !Number.isInteger(value) ? words.new.whole : '';
}

/** Memory in whole megabytes, as hosts give it. */
export function wholeMegabytes(gigabytes: number): number {
  return Math.round(gigabytes * 1024) * megabyte;
}

/** The disk may grow beyond the room there is now: it takes only what is written to it. */
export function promisesMore(form: Pick<Form, 'disk' | 'host'>, hosts: Host[]): boolean {
  const free = hostOf(form, hosts)?.pool?.free;
  return free !== undefined && (form.disk ?? 0) * gigabyte > free;
}

/** What the portal is asked for. */
export function wishOf(form: Form): NewMachine {
  return {
    name: form.name.trim(),
    notes: form.notes.trim() || undefined,
    cpus: form.cpus ?? undefined,
    memory_bytes: form.memory === null ? undefined : wholeMegabytes(form.memory),
    disk_bytes: form.disk === null ? undefined : wholeMegabytes(form.disk),
    iso_path: form.iso || undefined,
    second_iso_path: form.second || undefined,
    boot_order: form.order,
    firmware: form.firmware,
    network: form.network || undefined,
    host: form.host || undefined,
    start: form.start,
  };
}

/** As a field shows it. */
export function inGigabytes(bytes: number): number {
  return Math.round((bytes / gigabyte) * 1000) / 1000;
}
