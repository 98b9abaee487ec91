/** What a serial port says, as a screen of text: as much of a VT100 as boot messages, logins and shells use. Pure. */
const blank = ' ';

export class Terminal {
  /** What went off the top, oldest first. */
  past: string[] = [];
  #rows: string[][];
  #row = 0;
  #column = 0;
  #saved: [number, number] = [0, 0];
  /** An escape sequence whose end has not come yet. */
  #begun = '';

  constructor(
    readonly columns = 80,
    readonly lines = 25,
    readonly most = 2000,
  ) {
    this.#rows = Array.from({ length: lines }, () => this.#empty());
  }

  get cursor(): { row: number; column: number } {
    return { row: this.#row, column: Math.min(this.#column, this.columns - 1) };
  }

  /** The lines of the screen, without what is blank at their ends. */
  get screen(): string[] {
    return this.#rows.map((row) => row.join('').trimEnd());
  }

  write(text: string): void {
    for (const character of text) {
      if (this.#begun) this.#continue(character);
      else this.#take(character);
    }
  }

  #take(character: string): void {
    switch (character) {
      case '\u001b':
        this.#begun = character;
        return;
      case '\r':
        this.#column = 0;
        return;
      case '\n':
        this.#feed();
        return;
      case '\b':
        this.#column = Math.max(0, Math.min(this.#column, this.columns) - 1);
        return;
      case '\t':
        this.#column = Math.min(this.columns - 1, (Math.floor(this.#column / 8) + 1) * 8);
        return;
    }
    if (character < ' ' || character === '\u007f') return;
    if (this.#column >= this.columns) {
      this.#column = 0;
      this.#feed();
    }
    this.#line()[this.#column] = character;
    this.#column += 1;
  }

  #continue(character: string): void {
    this.#begun += character;
    const said = this.#begun;
    if (said.startsWith('\u001b[')) {
      if (said.length > 2 && character >= '@' && character <= '~') this.#finish(() => this.#control(said.slice(2, -1), character));
    } else if (said.startsWith('\u001b]')) {
      // A title for the window: there is none.
      if (character === '\u0007' || said.endsWith('\u001b\\')) this.#finish();
    } else if ('()#%'.includes(said[1] ?? '')) {
      if (said.length > 2) this.#finish();
    } else {
      this.#finish(() => this.#escape(character));
    }
    if (this.#begun.length > 200) this.#begun = '';
  }

  #finish(work?: () => void): void {
    this.#begun = '';
    work?.();
  }

  #escape(character: string): void {
    if (character === '7') this.#saved = [this.#row, this.#column];
    else if (character === '8') [this.#row, this.#column] = this.#saved;
    else if (character === 'D') this.#feed();
    else if (character === 'E') (this.#column = 0), this.#feed();
    else if (character === 'M') this.#row = Math.max(0, this.#row - 1);
    else if (character === 'c') this.#clear();
  }

  /** A control sequence (ECMA-48): its parameters and its last character. */
  #control(parameters: string, character: string): void {
    const numbers = parameters.split(';').map(Number);
    const first = numbers[0] || 0;
    const by = Math.max(1, first);
    const row = this.#line();
    switch (character) {
      case 'A':
        return this.#go(this.#row - by, this.#column);
      case 'B':
        return this.#go(this.#row + by, this.#column);
      case 'C':
        return this.#go(this.#row, this.#column + by);
      case 'D':
        return this.#go(this.#row, this.#column - by);
      case 'G':
        return this.#go(this.#row, by - 1);
      case 'd':
        return this.#go(by - 1, this.#column);
      case 'H':
      case 'f':
        return this.#go(by - 1, Math.max(1, numbers[1] || 0) - 1);
      case 'J':
        return this.#eraseScreen(first);
      case 'K':
        return this.#eraseLine(first);
      case 'P':
        row.splice(this.#column, by);
        while (row.length < this.columns) row.push(blank);
        return;
      case '@':
        row.splice(this.#column, 0, ...Array<string>(by).fill(blank));
        row.length = this.columns;
        return;
      case 'X':
        row.fill(blank, this.#column, this.#column + by);
        return;
      case 's':
        this.#saved = [this.#row, this.#column];
        return;
      case 'u':
        [this.#row, this.#column] = this.#saved;
    }
  }

  #go(row: number, column: number): void {
    this.#row = Math.max(0, Math.min(this.lines - 1, row));
    this.#column = Math.max(0, Math.min(this.columns - 1, column));
  }

  #feed(): void {
    if (this.#row < this.lines - 1) {
      this.#row += 1;
      return;
    }
    this.past.push((this.#rows.shift() ?? []).join('').trimEnd());
    if (this.past.length > this.most) this.past.splice(0, this.past.length - this.most);
    this.#rows.push(this.#empty());
  }

  #eraseScreen(how: number): void {
    if (how === 0) {
      this.#eraseLine(0);
      for (let row = this.#row + 1; row < this.lines; row += 1) this.#rows[row] = this.#empty();
    } else if (how === 1) {
      this.#eraseLine(1);
      for (let row = 0; row < this.#row; row += 1) this.#rows[row] = this.#empty();
    } else {
      for (let row = 0; row < this.lines; row += 1) this.#rows[row] = this.#empty();
    }
  }

  #eraseLine(how: number): void {
    const row = this.#line();
    if (how === 0) row.fill(blank, this.#column);
    else if (how === 1) row.fill(blank, 0, this.#column + 1);
    else row.fill(blank);
  }

  #clear(): void {
    this.#eraseScreen(2);
    this.#go(0, 0);
  }

  #line(): string[] {
    return this.#rows[this.#row] ?? this.#empty();
  }

  #empty(): string[] {
    return Array<string>(this.columns).fill(blank);
  }
}

export interface PressedKey {
  key: string;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
  isComposing: boolean;
}

const named: Record<string, string> = {
  Enter: '\r',
  Backspace: '\u007f',
  Tab: '\t',
  Escape: '\u001b',
  ArrowUp: '\u001b[A',
  ArrowDown: '\u001b[B',
  ArrowRight: '\u001b[C',
  ArrowLeft: '\u001b[D',
  Home: '\u001b[H',
  End: '\u001b[F',
  Insert: '\u001b[2~',
  Delete: '\u001b[3~',
  PageUp: '\u001b[5~',
  PageDown: '\u001b[6~',
};

/** What a key that writes no text sends; null: it is for the browser, or its text comes by itself. */
export function sentBy(event: PressedKey): string | null {
  if (event.isComposing || event.metaKey) return null;
  const { key } = event;
  if (event.ctrlKey && !event.altKey) {
    const letter = key.toUpperCase();
    return letter.length === 1 && letter >= '@' && letter <= '_' ? String.fromCharCode(letter.charCodeAt(0) - 64) : null;
  }
  if (event.altKey && !event.ctrlKey && key.length === 1) return `\u001b${key}`;
  return named[key] ?? null;
}
