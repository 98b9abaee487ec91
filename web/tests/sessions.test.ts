import { describe, expect, it } from 'vitest';
import { isNewer, ordered, withList, withNews, without, type Sessions } from '../src/lib/desktops/merge';
import { fitWindow, mayHaveScreen, shownState, timeline, type Options, type Session } from '../src/lib/desktops/model';
import { filtered, sorted } from '../src/lib/desktops/list/table';
import { timeChoices } from '../src/lib/desktops/new/time-choices';

import { at, session } from './session';

const pulse = (time: string) => ({
  at: time,
  idle_seconds: 0,
  cpu_percent: 1,
  memory_bytes: 1,
  width: 1,
  height: 1,
  viewers: 0,
});
const of = (...all: Session[]): Sessions => Object.fromEntries(all.map((item) => [item.id, item]));

describe('live news', () => {
  it('replace what is older and never what is newer', () => {
    const have = session('a', { version: 5, state: 'ready' });
    expect(withNews(of(have), session('a', { version: 4, state: 'starting' })).a).toBe(have);
    expect(withNews(of(have), session('a', { version: 6, state: 'ended' })).a?.state).toBe('ended');
    expect(isNewer(undefined, have)).toBe(true);
  });

  it('of the same version count by their pulse', () => {
    const have = session('a', { pulse: pulse('2026-11-20T12:00:05Z') });
    expect(isNewer(have, session('a', { pulse: pulse('2026-11-20T12:00:10Z') }))).toBe(true);
    expect(isNewer(have, session('a', { pulse: pulse('2026-11-20T12:00:00Z') }))).toBe(false);
  });

  it('of something gone take it away', () => {
    expect(Object.keys(without(of(session('a'), session('b')), 'a'))).toEqual(['b']);
  });
});

describe('a list', () => {
  it('removes what it lacks, but not what was heard of while it was on its way', () => {
    const all = of(session('old'), session('new'));
    expect(Object.keys(withList(all, [], new Set(['new'])))).toEqual(['new']);
  });

  it('does not bring back what was heard of as gone', () => {
    expect(withList({}, [session('a')], new Set(['a']))).toEqual({});
  });

  it('does not overwrite newer news', () => {
    const merged = withList(of(session('a', { version: 9, state: 'ending' })), [session('a', { version: 8 })], new Set());
    expect(merged.a?.state).toBe('ending');
  });

  it('is shown newest first', () => {
    const all = of(session('a'), session('b', { created_at: '2026-11-20T13:00:00.000Z' }));
    expect(ordered(all).map((item) => item.id)).toEqual(['b', 'a']);
  });
});

describe('a session', () => {
  it('that is not seen is unknown, unless it is over', () => {
    expect(shownState(session('a', { unknown_since: at }))).toBe('unknown');
    expect(shownState(session('a', { unknown_since: at, state: 'ended' }))).toBe('ended');
  });

  it('may be looked at from its display on', () => {
    expect(mayHaveScreen(session('a', { state: 'starting', display: null }))).toBe(false);
    expect(mayHaveScreen(session('a', { state: 'starting', display: 3 }))).toBe(true);
    expect(mayHaveScreen(session('a', { state: 'ended' }))).toBe(false);
  });

  it('shows all stages from the beginning, with the running one counting', () => {
    const starting = session('a', {
      state: 'starting',
      stages: [
        { name: 'request', started_at: at, seconds: 0.02 },
        { name: 'agent', started_at: at, seconds: null },
      ],
    });
    const lines = timeline(starting, Date.parse(at) + 1500);
    expect(lines.map((line) => line.state)).toEqual(['done', 'running', 'waiting', 'waiting', 'waiting']);
    expect(lines[1]?.seconds).toBeCloseTo(1.5);
    expect(timeline({ ...starting, state: 'failed' }, 0)[1]?.state).toBe('failed');
  });
});

describe('forms and tables', () => {
  const range = { min: 640, max: 3840, default: 1440 };
  const options = { width: range, height: { ...range, min: 480, max: 2160 } } as Options;

  it('fit a window within what is allowed', () => {
    expect(fitWindow(1201, 761, options)).toEqual({ width: 1202, height: 762 });
    expect(fitWindow(390, 300, options)).toEqual({ width: 640, height: 480 });
    expect(fitWindow(9000, 9000, options)).toEqual({ width: 3840, height: 2160 });
  });

  it('offer time limits that are allowed, the default and the longest among them', () => {
    expect(timeChoices({ min: 3000, max: 30000, default: 5000 })).toEqual([3600, 5000, 7200, 14400, 28800, 30000]);
  });

  it('sort by numbers in names and filter by words and state', () => {
    const list = [session('1', { name: 'Desktop 10' }), session('2', { name: 'Desktop 9', state: 'starting' })];
    expect(sorted(list, { column: 'name', down: false }, 'en').map((item) => item.name)).toEqual(['Desktop 9', 'Desktop 10']);
    expect(sorted(list, { column: 'name', down: true }, 'ko')[0]?.name).toBe('Desktop 10');
    expect(filtered(list, 'NODE', '')).toHaveLength(2);
    expect(filtered(list, '', 'starting')).toHaveLength(1);
    expect(filtered(list, 'nobody', '')).toHaveLength(0);
  });
});
