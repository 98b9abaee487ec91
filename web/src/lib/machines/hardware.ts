/** What the form for a machine's hardware begins with, what is wrong in it, and what is asked for. Pure. */
import type { Language } from '../kernel/i18n/languages';
import type { Machine, NewHardware, Options } from './model';
import { inGigabytes, numberError, wholeMegabytes } from './new/wish';
import { gigabyte } from './size';
import type { MachineWords } from './words';

/** As the fields hold it. An emptied number field holds null. */
export interface HardwareForm {
  cpus: number | null;
  /** In gigabytes. */
  memory: number | null;
  network: string;
}
type Hardware = Pick<Machine, 'cpus' | 'memory_bytes' | 'network'>;

export function hardwareForm(machine: Hardware): HardwareForm {
  return { cpus: machine.cpus, memory: inGigabytes(machine.memory_bytes), network: machine.network };
}

/** Only what is another than it is: a size in a field is rounded, and one that nobody touched is not meant. */
export function hardwareWish(form: HardwareForm, machine: Hardware): NewHardware {
  const before = hardwareForm(machine);
  const wish: NewHardware = {};
  if (form.cpus !== before.cpus && form.cpus !== null) wish.cpus = form.cpus;
  if (form.memory !== before.memory && form.memory !== null) wish.memory_bytes = wholeMegabytes(form.memory);
  if (form.network !== before.network) wish.network = form.network;
  return wish;
}

export function hardwareErrors(
  form: HardwareForm,
  machine: Hardware,
  options: Options,
  words: MachineWords,
  language: Language,
): Partial<Record<keyof HardwareForm, string>> {
  const before = hardwareForm(machine);
  const errors: Partial<Record<keyof HardwareForm, string>> = {};
  if (form.cpus !== before.cpus) errors.cpus = numberError(form.cpus, options.cpus, 1, words, language);
  if (form.memory !== before.memory) errors.memory = numberError(form.memory, options.memory_bytes, gigabyte, words, language);
  return errors;
}

/** The networks to choose from; the one that it has is always among them. */
export function networksFor(machine: Hardware, options: Options): string[] {
  return options.networks.includes(machine.network) ? options.networks : [machine.network, ...options.networks];
}
