import { describe, expect, it } from 'vitest';
import {
  belongsToComposition,
  keysymOf,
  leavesDesktop,
  pastes,
  shortcutKeysym,
  switchesInputMethod,
  typedBetween,
  type KeyLike,
} from '../src/lib/screen/keys';

const press = (some: Partial<KeyLike>): KeyLike => ({
  key: '',
  code: '',
  keyCode: 0,
  isComposing: false,
  ctrlKey: false,
  altKey: false,
  shiftKey: false,
  metaKey: false,
  ...some,
});

describe('keysyms', () => {
  it('are Latin-1 directly and the rest by code point', () => {
    expect(keysymOf('a')).toBe(0x61);
    expect(keysymOf('é')).toBe(0xe9);
    expect(keysymOf('한')).toBe(0x0100d55c);
    expect(keysymOf('ㄱ')).toBe(0x01003131);
    expect(keysymOf('😀')).toBe(0x0101f600);
    expect(keysymOf('\n')).toBe(0xff0d);
  });
});

describe('keys of an input method', () => {
  it('are left to it', () => {
    expect(belongsToComposition(press({ key: 'Process', code: 'KeyG', keyCode: 229 }))).toBe(true);
    expect(belongsToComposition(press({ key: 'Enter', isComposing: true }))).toBe(true);
    expect(belongsToComposition(press({ key: 'g', code: 'KeyG', keyCode: 71 }))).toBe(false);
    expect(switchesInputMethod(press({ key: 'HangulMode', code: 'AltRight' }))).toBe(true);
    expect(switchesInputMethod(press({ key: 'AltGraph', code: 'AltRight' }))).toBe(false);
  });
});

describe('shortcuts', () => {
  it('mean the letter on the key while Hangul is written', () => {
    expect(shortcutKeysym(press({ key: 'ㅊ', code: 'KeyC', ctrlKey: true }))).toBe(0x63);
    expect(shortcutKeysym(press({ key: 'ㅊ', code: 'KeyC', ctrlKey: true, shiftKey: true }))).toBe(0x43);
    expect(shortcutKeysym(press({ key: 'c', code: 'KeyC', ctrlKey: true }))).toBeNull();
    expect(shortcutKeysym(press({ key: 'ㅊ', code: 'KeyC' }))).toBeNull();
    expect(shortcutKeysym(press({ key: 'Control', code: 'ControlLeft', ctrlKey: true }))).toBeNull();
  });

  it('for pasting are known', () => {
    expect(pastes(press({ code: 'KeyV', ctrlKey: true }))).toBe(true);
    expect(pastes(press({ code: 'KeyV', ctrlKey: true, shiftKey: true }))).toBe(true);
    expect(pastes(press({ code: 'Insert', shiftKey: true }))).toBe(true);
    expect(pastes(press({ code: 'KeyV' }))).toBe(false);
    expect(pastes(press({ code: 'KeyV', ctrlKey: true, altKey: true }))).toBe(false);
  });

  it('for leaving come in any order', () => {
    expect(leavesDesktop(press({ key: 'Shift', ctrlKey: true, altKey: true, shiftKey: true }))).toBe(true);
    expect(leavesDesktop(press({ key: 'Control', ctrlKey: true, altKey: true, shiftKey: true }))).toBe(true);
    expect(leavesDesktop(press({ key: 't', ctrlKey: true, altKey: true, shiftKey: true }))).toBe(false);
  });
});

describe('what was typed into the field', () => {
  it('is the difference', () => {
    expect(typedBetween('___', '___a')).toEqual({ gone: 0, come: ['a'] });
    expect(typedBetween('___ㅎ', '___하')).toEqual({ gone: 1, come: ['하'] });
    expect(typedBetween('___', '__')).toEqual({ gone: 1, come: [] });
    expect(typedBetween('__teh', '__the ')).toEqual({ gone: 2, come: ['h', 'e', ' '] });
    expect(typedBetween('_', '_😀한')).toEqual({ gone: 0, come: ['😀', '한'] });
  });
});
