import { describe, expect, it } from 'vitest';
import { deviceName, passwordStrength } from '../src/lib/identity/model';
import { fieldMessage, problemFrom } from '../src/lib/kernel/problem';
import { problemWords } from '../src/lib/kernel/problem-words';
import { en } from '../src/lib/words/en';
import { ko } from '../src/lib/words/ko';

describe('the strength of a password', () => {
  it('goes by length first', () => {
    expect(passwordStrength('Ab1!')).toBe(0);
    expect(passwordStrength('aaaaaaaaaaaa')).toBe(1);
    expect(passwordStrength('correct horse battery')).toBeGreaterThanOrEqual(3);
    expect(passwordStrength('파란 하늘 아래 넓은 마당')).toBeGreaterThanOrEqual(2);
  });
});

describe('the name of a browser', () => {
  it('is short', () => {
    const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36';
    expect(deviceName(chrome)).toBe('Chrome, Linux');
    expect(deviceName('Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) Version/19.0 Safari/605')).toBe('Safari, macOS');
    expect(deviceName('curl/8.5')).toBe('curl');
    expect(deviceName(null)).toBe('');
  });
});

describe('a problem', () => {
  const said = { title: 'A limit is reached', code: 'limit_reached', detail: '4 of 4.', hint: 'End one.', retry_after: 3 };

  it('is read whatever is missing', () => {
    expect(problemFrom(500, null).code).toBe('http_500');
    expect(problemFrom(422, { fields: [{ field: 'name', message: 'Too long.' }] }).fields).toHaveLength(1);
    expect(problemFrom(429, said).retryAfter).toBe(3);
    expect(fieldMessage(problemFrom(422, { fields: [{ field: 'name', message: 'Too long.' }] }), 'name')).toBe('Too long.');
  });

  it('is told in the words of the page where it has them', () => {
    const problem = problemFrom(409, said);
    expect(problemWords(problem, en)).toEqual({ title: 'A limit is reached', detail: '4 of 4.', hint: 'End one.' });
    expect(problemWords(problem, ko).title).toMatch(/데스크톱/);
    expect(problemWords(problem, ko).detail).toBe('4 of 4.');
  });
});
