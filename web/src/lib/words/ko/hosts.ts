import type { hosts as english } from '../en/hosts';

export const hosts: typeof english = {
  title: '가상 머신 호스트',
  text: '가상 머신이 실행되는 곳입니다. 새 가상 머신은 남은 메모리가 가장 많은 호스트에 만들어집니다. 호스트는 machines.hosts 설정에 적습니다.',
  answers: '응답함',
  silent: '응답하지 않음',
  silentSince: (time) => `응답하지 않음, ${time}부터`,
  noStorage: '새 가상 머신을 만들 수 없음',
  machines: '가상 머신',
  machinesOf: (ours, running) => `${ours}대, ${running}대 실행 중`,
  machinesKnown: (ours) => `${ours}대`,
  cpus: 'CPU',
  memory: '남은 메모리',
  pool: '디스크 여유 공간',
  of: (part, whole) => `${whole} 중 ${part}`,
  unknown: '지금은 알 수 없음',
  machinesLost: '이 호스트의 가상 머신은 계속 실행되고 있을 수 있습니다. 호스트가 응답하면 바로 다시 보입니다.',
};
