/** Short notices at the edge of the screen: what was just done or is about to happen, with what can be done about it. */
export interface Notice {
  id: number;
  text: string;
  tone: 'good' | 'bad' | 'warn';
  /** What can be done about it. */
  action?: { label: string; run: () => void };
}

class Notices {
  all = $state<Notice[]>([]);
  #next = 1;

  /** Gives its number. One with an action stays until it is dismissed, or for `seconds`. */
  say(text: string, tone: Notice['tone'] = 'good', action?: Notice['action'], seconds?: number): number {
    const id = this.#next++;
    this.all = [...this.all.slice(-2), { id, text, tone, action }];
    const stay = seconds ?? (action ? null : tone === 'good' ? 4 : 9);
    if (stay !== null) setTimeout(() => this.dismiss(id), stay * 1000);
    return id;
  }

  dismiss(id: number): void {
    this.all = this.all.filter((notice) => notice.id !== id);
  }
}

export const notices = new Notices();
