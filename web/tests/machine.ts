import type { Iso, Machine, Operation, Options } from '../src/lib/machines/model';
import { gigabyte } from '../src/lib/machines/size';

export const at = '2026-11-20T12:00:00.000Z';

/** A machine for tests, installed and off. */
export const machine = (id: string, some: Partial<Machine> = {}): Machine => ({
  id,
  name: id,
  notes: '',
  owner: { id: 'p', name: 'kim' },
  host: 'this',
  state: 'shut_off',
  last_state: 'shut_off',
  unknown_since: null,
  installation_status: 'Installed',
  boot_order: 'cdrom_hd',
  current_boot_order: null,
  current_boot_device: null,
  next_boot: null,
  disk_path: `/pool/${id}/disk.qcow2`,
  disk_size: 20 * gigabyte,
  disk_used: null,
  current_media: [
    { target: 'sda', iso: null, path: null, missing: false },
    { target: 'sdb', iso: null, path: null, missing: false },
  ],
  pending: [],
  firmware: 'bios',
  cpus: 2,
  memory_bytes: 2 * gigabyte,
  network: 'user',
  protected: false,
  adopted: false,
  template: false,
  everybody: false,
  linked: false,
  cloned_from: null,
  shares: [],
  suggestions: [],
  operation: null,
  queued: 0,
  failure: null,
  version: 1,
  etag: '1',
  created_at: at,
  started_at: null,
  agent: false,
  screenshot: false,
  next_backup_at: null,
  ...some,
});

export const operation = (id: string, of: string, some: Partial<Operation> = {}): Operation => ({
  id,
  machine_id: of,
  kind: 'start',
  state: 'running',
  progress: null,
  stage: '',
  can_cancel: false,
  asked_by: 'kim',
  created_at: at,
  started_at: at,
  ended_at: null,
  result: {},
  failure: null,
  ...some,
});

export const iso = (name: string, some: Partial<Iso> = {}): Iso => ({
  path: `/isos/${name}`,
  name,
  folder: '/isos',
  size: 600 * 1024 ** 2,
  modified_at: at,
  label: '',
  boots: ['bios'],
  readable: true,
  used_by: [],
  used_count: 0,
  can_delete: true,
  ...some,
});

const host = (name: string, free: number) => ({
  name,
  connected: true,
  down_since: null,
  problem: '',
  pool: { path: '/pool', total: 1000 * gigabyte, free },
  machines: 0,
});

export const options: Options = {
  hosts: [host('one', 50 * gigabyte), host('two', 200 * gigabyte)],
  networks: ['user', 'none'],
  firmwares: ['bios', 'uefi'],
  boot_orders: ['cdrom_hd', 'hd', 'cdrom', 'hd_cdrom'],
  default_boot_order: 'cdrom_hd',
  boot_presets: [],
  cpus: { least: 1, most: 16, default: 2 },
  memory_bytes: { least: 16 * 1024 ** 2, most: 64 * gigabyte, default: 2 * gigabyte },
  disk_bytes: { least: 1024 ** 2, most: 2048 * gigabyte, default: 20 * gigabyte },
  quota: {
    machines: { most: null, used: 0 },
    cpus: { most: null, used: 0 },
    memory_bytes: { most: null, used: 0 },
    disk_bytes: { most: null, used: 0 },
  },
  largest_upload_bytes: 20 * gigabyte,
  missing: [],
};
