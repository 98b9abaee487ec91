import { api } from '../kernel/api';
import type {
  Act,
  Backup,
  BackupSchedule,
  BootOrder,
  BootPreset,
  ChosenSchedule,
  Disk,
  FurtherDisk,
  InstallationStatus,
  Iso,
  Machine,
  NewHardware,
  NewMachine,
  Operation,
  Options,
  Share,
  Snapshot,
  Template,
  Stranger,
} from './model';

const base = '/api/vms';
/** The address of one machine, or of something of it. */
const of = (id: string, what = '') => `${base}/${encodeURIComponent(id)}${what}`;
const socket = (path: string) => `${location.origin.replace(/^http/, 'ws')}${path}`;

/** What a change was made from: it is refused when somebody else was quicker. */
const ifMatch = (etag: string) => ({ 'If-Match': `"${etag}"` });

export const machinesApi = {
  list: (everybody: boolean) => api<Machine[]>('GET', `${base}${everybody ? '?all=true' : ''}`),
  options: () => api<Options>('GET', `${base}/options`),
  get: (id: string) => api<Machine>('GET', of(id)),
  create: (wish: NewMachine) => api<Machine>('POST', base, { body: wish }),
  describe: (id: string, said: { name?: string; notes?: string; protected?: boolean }) =>
    api<Machine>('PATCH', of(id), { body: said }),
  /** Gives the machine while it is being deleted, nothing when it is gone already. */
  remove: (id: string, name: string, disks: 'remove' | 'keep') =>
    api<Machine | undefined>('DELETE', of(id, `?${new URLSearchParams({ name, disks })}`)),
  act: (id: string, action: Act) => api<Machine>('POST', of(id, '/action'), { body: { action } }),

  setBootOrder: (id: string, boot_order: BootOrder, etag: string, apply: 'next_start' | 'now' = 'next_start') =>
    api<Machine>('POST', of(id, '/boot-order'), { body: { boot_order, apply }, headers: ifMatch(etag) }),
  applyBootOrder: (id: string) => api<Machine>('POST', of(id, '/boot-order/apply')),
  discardBootOrder: (id: string) => api<Machine>('POST', of(id, '/boot-order/discard')),
  changeHardware: (id: string, wish: NewHardware, etag: string) =>
    api<Machine>('PATCH', of(id, '/hardware'), { body: wish, headers: ifMatch(etag) }),
  discardHardware: (id: string) => api<Machine>('POST', of(id, '/hardware/discard')),
  bootOnce: (id: string, boot_order: BootOrder) => api<Machine>('POST', of(id, '/boot-order/once'), { body: { boot_order } }),
  forgetOnce: (id: string) => api<Machine>('DELETE', of(id, '/boot-order/once')),
  addPreset: (name: string, boot_order: BootOrder) =>
    api<BootPreset>('POST', `${base}/boot-presets`, { body: { name, boot_order } }),
  removePreset: (id: string) => api<void>('DELETE', `${base}/boot-presets/${encodeURIComponent(id)}`),

  insert: (id: string, iso_path: string, target: string | undefined, force: boolean) =>
    api<Machine>('POST', of(id, '/media/attach'), { body: { iso_path, target, force } }),
  eject: (id: string, target: string | undefined, force: boolean) =>
    api<Machine>('POST', of(id, '/media/detach'), { body: { target, force } }),

  completeInstallation: (id: string, how: { eject?: boolean; boot_order?: BootOrder; snapshot?: string }) =>
    api<Machine>('POST', of(id, '/complete-installation'), { body: how }),
  setInstallation: (id: string, installation_status: InstallationStatus) =>
    api<Machine>('POST', of(id, '/installation-status'), { body: { installation_status } }),
  dismiss: (id: string, code: string) => api<Machine>('POST', of(id, '/suggestions/dismiss'), { body: { code } }),

  disk: (id: string) => api<Disk>('GET', of(id, '/disk')),
  grow: (id: string, size_gb: number) => api<Machine>('POST', of(id, '/disk/resize'), { body: { size_gb } }),
  growInside: (id: string) => api<Machine>('POST', of(id, '/disk/grow-inside')),

  /** One's own further disks, in machines or not. */
  ownDisks: () => api<FurtherDisk[]>('GET', `${base}/disks`),
  disksOf: (id: string) => api<FurtherDisk[]>('GET', of(id, '/disks')),
  addDisk: (id: string, name: string, size_gb: number) => api<Machine>('POST', of(id, '/disks'), { body: { name, size_gb } }),
  attachDisk: (id: string, disk: string) => api<Machine>('POST', of(id, '/disks/attach'), { body: { disk } }),
  detachDisk: (id: string, disk: string) => api<Machine>('POST', of(id, '/disks/detach'), { body: { disk } }),
  /** Gives the other machine, or this one while it has not let go yet. */
  moveDisk: (id: string, disk: string, to: string) => api<Machine>('POST', of(id, '/disks/move'), { body: { disk, to } }),
  growDisk: (disk: string, size_gb: number) =>
    api<FurtherDisk>('POST', `${base}/disks/${encodeURIComponent(disk)}/resize`, { body: { size_gb } }),
  removeDisk: (disk: string, name: string) =>
    api<void>('DELETE', `${base}/disks/${encodeURIComponent(disk)}?${new URLSearchParams({ name })}`),

  strangers: () => api<Stranger[]>('GET', `${base}/strangers`),
  adopt: (id: string, how: { host: string; person: string; name: string }) =>
    api<Machine>('POST', `${base}/strangers/${encodeURIComponent(id)}/adopt`, { body: how }),

  pressKeys: (id: string, keys: string[]) => api<void>('POST', of(id, '/keys'), { body: { keys } }),
  screenshotUrl: (id: string) => of(id, '/screenshot'),
  consoleUrl: (id: string) => socket(`/machines/console/${encodeURIComponent(id)}`),
  serialUrl: (id: string) => socket(`/machines/serial/${encodeURIComponent(id)}`),

  operations: (id: string) => api<Operation[]>('GET', of(id, '/operations')),
  cancel: (id: string, operation: string) =>
    api<Operation>('POST', of(id, `/operations/${encodeURIComponent(operation)}/cancel`)),

  share: (id: string, person: string, mode: Share['mode']) =>
    api<Machine>('POST', of(id, '/shares'), { body: { person, mode } }),
  unshare: (id: string, person: string) => api<Machine>('DELETE', of(id, `/shares/${encodeURIComponent(person)}`)),

  snapshots: (id: string) => api<Snapshot[]>('GET', of(id, '/snapshots')),
  takeSnapshot: (id: string, title: string) => api<Machine>('POST', of(id, '/snapshots'), { body: { title } }),
  revert: (id: string, name: string) => api<Machine>('POST', of(id, `/snapshots/${encodeURIComponent(name)}/revert`)),
  dropSnapshot: (id: string, name: string) => api<Machine>('DELETE', of(id, `/snapshots/${encodeURIComponent(name)}`)),

  /** Those that machines can be made of: one's own, and those for everybody. */
  templates: () => api<Template[]>('GET', `${base}/templates`),
  setTemplate: (id: string, template: boolean, everybody?: boolean) =>
    api<Machine>('POST', of(id, '/template'), { body: { template, everybody } }),
  clone: (id: string, name: string, linked: boolean) => api<Machine>('POST', of(id, '/clone'), { body: { name, linked } }),
  flatten: (id: string) => api<Machine>('POST', of(id, '/disk/flatten')),

  backupSchedule: (id: string) => api<BackupSchedule>('GET', of(id, '/backup-schedule')),
  chooseSchedule: (id: string, chosen: ChosenSchedule) =>
    api<BackupSchedule>('PUT', of(id, '/backup-schedule'), { body: chosen }),
  backups: (id: string) => api<Backup[]>('GET', of(id, '/backups')),
  backUp: (id: string) => api<Machine>('POST', of(id, '/backups')),
  verify: (id: string, backup: string) => api<Machine>('POST', of(id, `/backups/${encodeURIComponent(backup)}/verify`)),
  restore: (id: string, backup: string) => api<Machine>('POST', of(id, `/backups/${encodeURIComponent(backup)}/restore`)),
  /** One's own, also of machines that are gone. */
  allBackups: () => api<Backup[]>('GET', `${base}/backups`),
  newFromBackup: (backup: string, name: string) =>
    api<Machine>('POST', `${base}/backups/${encodeURIComponent(backup)}/new`, { body: { name } }),
  removeBackup: (backup: string) => api<void>('DELETE', `${base}/backups/${encodeURIComponent(backup)}`),

  isos: () => api<Iso[]>('GET', '/api/isos'),
  removeIso: (path: string) => api<void>('DELETE', `/api/isos?${new URLSearchParams({ path })}`),
};
