import { describe, expect, it } from 'vitest';
import { en } from '../src/lib/words/en';
import { operators as operatorsInEnglish } from '../src/lib/words/en/operators';
import { machineParts as partsInEnglish } from '../src/lib/words/en/machine-parts';
import { machines as machinesInEnglish } from '../src/lib/words/en/machines';
import { ko } from '../src/lib/words/ko';
import { machineParts as partsInKorean } from '../src/lib/words/ko/machine-parts';
import { machines as machinesInKorean } from '../src/lib/words/ko/machines';
import { operators as operatorsInKorean } from '../src/lib/words/ko/operators';
import { one } from '../src/lib/words/plural';

/** Every leaf with its path; functions are called with sample values so that their words count too. */
function leaves(words: unknown, path = ''): [string, string][] {
  if (typeof words === 'string') return [[path, words]];
  if (typeof words === 'function') return [[path, String((words as (...all: unknown[]) => string)(3, 5))]];
  if (typeof words !== 'object' || words === null) throw new Error(`${path} is neither words nor a group of words`);
  return Object.entries(words).flatMap(([key, value]) => leaves(value, path ? `${path}.${key}` : key));
}

/** Words that are names or signs in every language. */
const signs = [
  'machines.announce',
  'machines.devices.cdrom',
  'machines.firmwares.bios',
  'machines.firmwares.uefi',
  'machines.boot.pending',
];

const english = new Map(leaves({ ...en, operators: operatorsInEnglish, machines: machinesInEnglish, parts: partsInEnglish }));
const korean = new Map(leaves({ ...ko, operators: operatorsInKorean, machines: machinesInKorean, parts: partsInKorean }));

describe('words', () => {
  it('say everything in both languages', () => {
    const missing = [...english.keys()].filter((path) => !korean.has(path));
    const surplus = [...korean.keys()].filter((path) => !english.has(path) && !path.startsWith('codes.'));
    expect(missing).toEqual([]);
    expect(surplus).toEqual([]);
  });

  it('are nowhere empty', () => {
    for (const [path, text] of [...english, ...korean]) expect(text.trim(), path).not.toBe('');
  });

  it('are Korean where they are Korean', () => {
    const same = ['nav.api', 'desktops.cpu', 'theme', 'language'];
    for (const [path, text] of korean) {
      if (same.some((start) => path.startsWith(start))) continue;
      if (['desktops.announce', 'desktops.table.shown', ...signs].includes(path)) continue;
      expect(/[가-힣]/.test(text), `${path}: ${text}`).toBe(true);
    }
  });

  it('address people politely', () => {
    for (const [path, text] of korean) expect(/(해요|하세요|세요|어요|아요)[.!?]?$/.test(text), `${path}: ${text}`).toBe(false);
  });

  it('count by the rules of the language', () => {
    expect(one('en', 1, '1 desktop', '# desktops')).toBe('1 desktop');
    expect(one('en', 0, '1 desktop', '# desktops')).toBe('0 desktops');
    expect(one('en', 1200, '1 desktop', '# desktops')).toBe('1,200 desktops');
  });
});
