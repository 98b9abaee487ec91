/** Short notices at the edge of the screen: what was just done, with an undo where there is one. */
export interface Notice {
  id: number;
  text: string;
  tone: 'good' | 'bad';
}

class Notices {
  all = $state<Notice[]>([]);
  #next = 1;

  say(text: string, tone: Notice['tone'] = 'good'): void {
    const id = this.#next++;
    this.all = [...this.all.slice(-2), { id, text, tone }];
    setTimeout(() => this.dismiss(id), tone === 'bad' ? 9000 : 4000);
  }

  dismiss(id: number): void {
    this.all = this.all.filter((notice) => notice.id !== id);
  }
}

export const notices = new Notices();
