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
  image_missing: { title: '컨테이너 이미지가 그 노드에 없습니다.', hint: '운영자에게 알려 주십시오.' },
  agent_outdated: { title: '노드의 에이전트가 오래되었습니다.', hint: '운영자에게 알려 주십시오.' },

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
  view_denied: { title: '주인이 허락하지 않았습니다.' },
  view_not_found: { title: '그런 요청이 없습니다.', hint: '시간이 지났거나 데스크톱이 종료되었을 수 있습니다.' },

  // Files.
  file_too_large: { title: '파일이 너무 큽니다.', hint: '나누어서 올려 주십시오.' },
  file_not_found: { title: '그런 파일이 없습니다.', hint: '폴더를 다시 읽어 주십시오.' },
  folder_not_found: { title: '그런 폴더가 없습니다.', hint: '다른 폴더를 골라 주십시오.' },
  not_a_file: { title: '파일이 아닙니다.' },
  not_a_folder: { title: '폴더가 아닙니다.' },
  file_name_wrong: { title: '쓸 수 없는 파일 이름입니다.', hint: '이름을 바꾸어 다시 올려 주십시오.' },
  permission_denied: { title: '그 파일이나 폴더를 쓸 권한이 없습니다.', hint: '다른 폴더를 골라 주십시오.' },
  upload_cut_off: { title: '올리는 중에 연결이 끊겼습니다.', hint: '다시 시도해 주십시오.' },

  // The door of an agent.
  agent_unreachable: { title: '데스크톱의 에이전트에 연결하지 못했습니다.', hint: '잠시 뒤에 다시 시도해 주십시오.' },
  picture_failed: { title: '화면의 그림을 만들지 못했습니다.' },
  native_off: { title: '이 데스크톱은 VNC 프로그램으로 열 수 없습니다.', hint: '브라우저에서 열어 주십시오.' },
  no_free_port: { title: '빈 포트가 없습니다.', hint: '잠시 뒤에 다시 시도해 주십시오.' },
};
