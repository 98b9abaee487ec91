import { describe, expect, it } from 'vitest';
import { needsShift } from '../src/lib/machines/console/typing';
import { sentBy, Terminal, type PressedKey } from '../src/lib/machines/serial/terminal';

const said = (text: string, columns = 20, lines = 4) => {
  const terminal = new Terminal(columns, lines, 3);
  terminal.write(text);
  return terminal;
};
const press = (some: Partial<PressedKey>): PressedKey => ({
  key: '',
  ctrlKey: false,
  altKey: false,
  metaKey: false,
  isComposing: false,
  ...some,
});

describe('a serial terminal', () => {
  it('shows lines, and keeps those that went off the top', () => {
    const terminal = said('one\r\ntwo\r\nthree\r\nfour\r\nfive\r\n');
    expect(terminal.past).toEqual(['one', 'two']);
    expect(terminal.screen).toEqual(['three', 'four', 'five', '']);
    expect(said('a\r\n'.repeat(20)).past).toHaveLength(3);
  });

  it('wraps what is too long, and takes back what is deleted', () => {
    expect(said('0123456789', 4).screen.slice(0, 3)).toEqual(['0123', '4567', '89']);
    expect(said('rm -rf\b\b\b\u001b[K').screen[0]).toBe('rm');
    expect(said('ab\tc').screen[0]).toBe('ab      c');
  });

  it('goes where it is told, and writes over what is there', () => {
    const terminal = said('login:\u001b[2;3Hhere\u001b[1;1HL\u001b[31mO\u001b[0m');
    expect(terminal.screen.slice(0, 2)).toEqual(['LOgin:', '  here']);
    expect(terminal.cursor).toEqual({ row: 0, column: 2 });
    expect(said('old\r\nold\u001b[2J\u001b[Hnew').screen).toEqual(['new', '', '', '']);
    expect(said('abcdef\u001b[4D\u001b[2P').screen[0]).toBe('abef');
  });

  it('waits for the rest of what comes in parts, and passes over what it does not know', () => {
    const terminal = said('a\u001b[');
    terminal.write('2C');
    terminal.write('b\u001b]0;title\u0007c\u001b(Bd\u001b[?25le');
    expect(terminal.screen[0]).toBe('a  bcde');
  });
});

describe('the keyboard of a machine', () => {
  it('has some characters above others', () => {
    expect([...'aZ1!./>?-_'].filter((one) => needsShift(one.codePointAt(0) ?? 0)).join('')).toBe('Z!>?_');
  });
});

describe('its keyboard', () => {
  it('sends keys that write nothing, and control characters', () => {
    expect(sentBy(press({ key: 'Enter' }))).toBe('\r');
    expect(sentBy(press({ key: 'ArrowUp' }))).toBe('\u001b[A');
    expect(sentBy(press({ key: 'c', ctrlKey: true }))).toBe('\u0003');
    expect(sentBy(press({ key: 'b', altKey: true }))).toBe('\u001bb');
  });

  it('leaves text to the field, and the rest to the browser', () => {
    for (const one of [{ key: 'a' }, { key: '가', isComposing: true }, { key: 'F5' }, { key: 'r', metaKey: true }])
      expect(sentBy(press(one))).toBeNull();
  });
});
