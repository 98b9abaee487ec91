import { one } from '../plural';

/** The hosts of machines, as operators see them. */
export const hosts = {
  title: 'Hosts of machines',
  text: 'Where machines run. A new one goes to the host with the most memory left. Hosts are named in machines.hosts.',
  answers: 'answers',
  silent: 'does not answer',
  silentSince: (time: string) => `does not answer, since ${time}`,
  noStorage: 'takes no new machines',
  machines: 'Machines',
  machinesOf: (ours: number, running: number) => `${one('en', ours, '1 machine', '# machines')}, ${running} running`,
  machinesKnown: (ours: number) => one('en', ours, '1 machine', '# machines'),
  cpus: 'CPUs',
  memory: 'Memory left',
  pool: 'Room for disks',
  of: (part: string, whole: string) => `${part} of ${whole}`,
  unknown: 'not known now',
  machinesLost: 'Its machines may well be running. They show again as soon as it answers.',
};
