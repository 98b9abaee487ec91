import { describe, expect, it } from 'vitest';
import { bytes, duration, relativeTime, stageSeconds } from '../src/lib/kernel/format';
import { pickLanguage } from '../src/lib/kernel/i18n/languages';
import { retryDelay } from '../src/lib/kernel/retry';

const now = Date.parse('2026-11-20T12:00:00Z');
const before = (seconds: number) => now - seconds * 1000;

describe('relative times', () => {
  it.each([
    [3, 'now', '지금'],
    [45, '45 seconds ago', '45초 전'],
    [119, '1 minute ago', '1분 전'],
    [7300, '2 hours ago', '2시간 전'],
    [86400 * 3, '3 days ago', '3일 전'],
    [-7300, 'in 2 hours', '2시간 후'],
  ])('%i seconds', (seconds, english, korean) => {
    expect(relativeTime(before(seconds), now, 'en')).toBe(english);
    expect(relativeTime(before(seconds), now, 'ko')).toBe(korean);
  });
});

describe('durations', () => {
  it.each([
    [0, '0 sec', '0초'],
    [59, '59 sec', '59초'],
    [394, '6 min 34 sec', '6분 34초'],
    [720, '12 min', '12분'],
    [3600, '1 hr', '1시간'],
    [11100, '3 hr 5 min', '3시간 5분'],
    [90061, '1 day 1 hr', '1일 1시간'],
    [86400 + 40, '1 day', '1일'],
    [-5, '0 sec', '0초'],
  ])('%i seconds', (seconds, english, korean) => {
    expect(duration(seconds, 'en')).toBe(english);
    expect(duration(seconds, 'ko')).toBe(korean);
  });
});

describe('sizes and stages', () => {
  it('have units', () => {
    expect(bytes(214_000_000, 'en')).toBe('214 MB');
    expect(bytes(1_460_000_000, 'en')).toBe('1.5 GB');
    expect(bytes(1_460_000_000, 'ko')).toBe('1.5GB');
    expect(stageSeconds(0.373, 'en')).toBe('0.37 s');
    expect(stageSeconds(12.34, 'ko')).toBe('12.3초');
    expect(stageSeconds(-0.2, 'en')).toBe('0.00 s');
  });
});

describe('the language', () => {
  it('is the choice, then the browser’s, then English', () => {
    expect(pickLanguage('ko', ['en-US'])).toBe('ko');
    expect(pickLanguage(null, ['fr', 'ko-KR', 'en'])).toBe('ko');
    expect(pickLanguage(null, ['fr'])).toBe('en');
    expect(pickLanguage('xx', ['en-GB'])).toBe('en');
  });
});

describe('retries', () => {
  it('come at once, then later by steps, never later than 2 s', () => {
    expect([0, 1, 2, 3].map(retryDelay)).toEqual([0, 250, 500, 750]);
    expect(retryDelay(50)).toBe(2000);
  });
});
