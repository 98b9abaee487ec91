/** Problems of desktops in Korean, by their code. The server says them in English. */
export const desktopCodes: Record<string, { title: string; hint?: string }> = {
  // How a start or a run failed.
  no_account: { title: '이 사이트에 유닉스 계정이 없습니다.', hint: '관리자에게 계정을 만들어 달라고 요청해 주십시오.' },
  launch_failed: {
    title: '데스크톱을 시작하지 못했습니다.',
    hint: '다시 시도해 주십시오. 계속되면 운영자에게 알려 주십시오.',
  },
  launcher_gone: { title: '이 데스크톱을 시작하던 방법이 이제 없습니다.', hint: '다른 프리셋을 골라 주십시오.' },
  node_lost: {
    title: '데스크톱이 있던 노드를 잃었습니다.',
    hint: '새로 시작해 주십시오. 홈 폴더에 저장한 파일은 그대로 있습니다.',
  },
  out_of_memory: { title: '데스크톱에 메모리가 부족했습니다.', hint: '메모리가 더 많은 것으로 시작해 주십시오.' },
  preempted: {
    title: '우선순위가 높은 작업에 자리를 내주었습니다.',
    hint: '새로 시작해 주십시오. 홈 폴더에 저장한 파일은 그대로 있습니다.',
  },
  job_failed: {
    title: '데스크톱의 작업이 실패했습니다.',
    hint: '운영자에게 알려 주십시오. 그 노드에 에이전트가 없을 수 있습니다.',
  },
  job_gone: {
    title: '데스크톱의 작업이 없어졌습니다.',
    hint: '새로 시작해 주십시오. 다시 일어나면 운영자에게 알려 주십시오.',
  },

  // The scheduler.
  scheduler_refused: { title: '스케줄러가 받아들이지 않았습니다.', hint: '아래 내용을 확인하고 다르게 골라 주십시오.' },
  scheduler_silent: { title: '스케줄러가 응답하지 않습니다.', hint: '잠시 뒤에 다시 시도해 주십시오.' },
  too_long: { title: '그렇게 오래 연장할 수 없습니다.', hint: '더 짧게 골라 주십시오.' },
  not_running: { title: '실행 중인 데스크톱이 아닙니다.', hint: '목록을 다시 확인해 주십시오.' },

  // Presets and limits.
  preset_not_found: { title: '그런 프리셋이 없습니다.', hint: '바뀌었을 수 있습니다. 다른 것을 골라 주십시오.' },
  preset_changed: {
    title: '그사이에 다른 사람이 프리셋을 고쳤습니다.',
    hint: '지금 내용을 확인한 뒤 다시 고쳐 주십시오.',
  },
  site_full: {
    title: '사이트에서 실행할 수 있는 데스크톱이 모두 쓰이고 있습니다.',
    hint: '잠시 뒤에 다시 시도해 주십시오.',
  },

  // Sharing.
  share_invalid: { title: '이 링크는 더 이상 쓸 수 없습니다.', hint: '링크를 준 분에게 새 링크를 요청해 주십시오.' },
  share_not_found: { title: '그런 링크가 없습니다.', hint: '이미 거두어들였을 수 있습니다.' },
  sign_in_needed: { title: '로그인해야 합니다.', hint: '이 링크는 이곳에 계정이 있는 사람만 쓸 수 있습니다.' },
  guests_not_allowed: { title: '이 사이트는 손님을 받지 않습니다.', hint: '손님을 허용하지 않고 링크를 만들어 주십시오.' },
  view_not_found: { title: '그런 요청이 없습니다.', hint: '시간이 지났거나 데스크톱이 종료되었을 수 있습니다.' },

  // Files.
  file_not_found: { title: '그런 파일이나 폴더가 없습니다.', hint: '옮겨지거나 지워졌을 수 있습니다. 폴더를 다시 열어 주십시오.' },
  file_denied: { title: '그 파일이나 폴더를 쓸 권한이 없습니다.', hint: '다른 폴더를 골라 주십시오.' },
  file_failed: { title: '파일을 읽거나 쓰지 못했습니다.', hint: '다시 시도해 주십시오. 계속되면 운영자에게 알려 주십시오.' },
  not_a_file: { title: '파일이 아닙니다.' },
  not_a_folder: { title: '폴더가 아닙니다.' },
  name_invalid: { title: '쓸 수 없는 이름입니다.', hint: '이름을 바꾸어 다시 시도해 주십시오.' },
  quota_full: { title: '쓸 수 있는 디스크 용량을 다 썼습니다.', hint: '쓰지 않는 파일을 지우거나 운영자에게 용량을 요청해 주십시오.' },

  // The desktop itself.
  door_error: { title: '데스크톱에 연결하지 못했습니다.', hint: '잠시 뒤에 다시 시도해 주십시오.' },
  door_unreachable: { title: '데스크톱에 연결하지 못했습니다.', hint: '잠시 뒤에 다시 시도해 주십시오.' },
  door_foreign: { title: '다른 것이 데스크톱의 자리에서 응답합니다.', hint: '운영자에게 알려 주십시오.' },
  door_busy: { title: '열린 연결이 너무 많습니다.', hint: '잠시 뒤에 다시 시도해 주십시오.' },
  door_failed: { title: '데스크톱의 문을 열지 못했습니다.', hint: '다시 시도해 주십시오. 로그에 까닭이 나옵니다.' },
  display_missing: { title: '아직 볼 것이 없습니다.', hint: '잠시 뒤에 다시 시도해 주십시오.' },
  display_silent: { title: '화면이 응답하지 않습니다.', hint: '데스크톱을 고치거나 다시 시작해 주십시오.' },
  engine_busy: { title: '화면이 응답하지 않습니다.', hint: '데스크톱을 고치거나 다시 시작해 주십시오.' },
  engine_lost: { title: '화면이 없어졌습니다.', hint: '새로 시작해 주십시오.' },
  repair_failed: { title: '다 고치지는 못했습니다.', hint: '로그에 까닭이 나옵니다.' },
  picture_failed: { title: '화면의 그림을 만들지 못했습니다.' },
  native_off: { title: '이 데스크톱은 VNC 프로그램으로 열 수 없습니다.', hint: '브라우저에서 열어 주십시오.' },
  no_free_port: { title: '빈 포트가 없습니다.', hint: '잠시 뒤에 다시 시도해 주십시오.' },
  scheduler_missing: { title: 'Slurm을 실행할 수 없습니다.', hint: '운영자에게 알려 주십시오.' },

  // What else the portal says.
  agent_unheard: { title: '데스크톱의 에이전트가 응답하지 않습니다.', hint: '잠시 뒤에 다시 시도해 주십시오.' },
  agent_unknown: { title: '데스크톱의 에이전트를 확인하지 못했습니다.', hint: '운영자에게 알려 주십시오.' },
  length_missing: { title: '파일의 크기를 알 수 없습니다.', hint: '다시 시도해 주십시오.' },
  own_desktop: { title: '본인의 데스크톱입니다.', hint: '바로 열어 주십시오.' },
  path_invalid: { title: '쓸 수 없는 경로입니다.', hint: '다른 폴더를 골라 주십시오.' },
  preset_built_in: { title: '기본 프리셋은 고칠 수 없습니다.', hint: '복사해서 새로 만들어 주십시오.' },
  too_large: { title: '너무 큽니다.', hint: '나누어서 올려 주십시오.' },
  uploads_off: { title: '이 사이트에서는 파일을 올릴 수 없습니다.' },
  view_over: { title: '이 요청은 더 이상 기다리지 않습니다.', hint: '운영자가 다시 요청할 수 있습니다.' },
  folder_refused: { title: '데스크톱의 폴더를 만들지 못했습니다.', hint: '운영자에게 그 노드의 폴더를 확인해 달라고 요청해 주십시오.' },
  agent_folder: { title: '에이전트를 노드가 읽는 곳에 둘 수 없습니다.', hint: '운영자에게 알려 주십시오.' },
  agent_folder_unsafe: { title: '에이전트를 두는 폴더가 안전하지 않습니다.', hint: '운영자에게 알려 주십시오.' },
  account_not_created: { title: '유닉스 계정을 만들지 못했습니다.', hint: '운영자에게 알려 주십시오.' },
  request_invalid: { title: '요청을 이해하지 못했습니다.', hint: '페이지를 새로 고친 뒤 다시 시도해 주십시오.' },
  door_nonsense: { title: '데스크톱의 응답을 이해하지 못했습니다.', hint: '운영자에게 알려 주십시오.' },
  ticket_invalid: { title: '데스크톱이 연결을 받아들이지 않았습니다.', hint: '다시 시도해 주십시오.' },
  ticket_foreign: { title: '데스크톱이 연결을 받아들이지 않았습니다.', hint: '다시 시도해 주십시오.' },
  ticket_expired: { title: '데스크톱이 연결을 받아들이지 않았습니다.', hint: '다시 시도해 주십시오. 계속되면 노드의 시계를 확인해야 합니다.' },
  ticket_replayed: { title: '데스크톱이 연결을 받아들이지 않았습니다.', hint: '다시 시도해 주십시오.' },
  database_outcome_unknown: { title: '저장되었는지 알 수 없습니다.', hint: '다시 하기 전에 저장되었는지 확인해 주십시오.' },
  database_refused: { title: '포털의 데이터베이스가 포털을 받아들이지 않습니다.', hint: '운영자에게 알려 주십시오.' },
  live_state_unavailable: { title: '포털이 지금 상태를 알 수 없습니다.', hint: '잠시 뒤에 다시 시도해 주십시오.' },
  log_elsewhere: { title: '로그가 다른 곳에 있습니다.', hint: '잠시 뒤에 다시 시도해 주십시오.' },
  verb_unknown: { title: '데스크톱의 에이전트가 이 일을 할 줄 모릅니다.', hint: '데스크톱을 새로 시작하면 할 수 있습니다.' },
};
