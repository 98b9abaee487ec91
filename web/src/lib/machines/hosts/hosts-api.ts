import { api } from '../../kernel/api';
import type { Failure, Host } from '../model';

/** A host as operators see it. */
export interface HostState extends Host {
  /** Without keys and options. */
  uri: string;
  /** Why it takes no new machine. */
  storage_problem: Failure | null;
  /** Not known while it does not answer; what running machines may take is not free. */
  capacity: { cpus: number; memory_bytes: number; memory_free: number; running: number } | null;
}

export const hostsApi = {
  list: () => api<HostState[]>('GET', '/api/vms/hosts'),
};
