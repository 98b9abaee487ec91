import { describe, expect, it } from 'vitest';
import { line, top, withPulse } from '../src/lib/desktops/card/points';
import { crumbs, join, parent } from '../src/lib/desktops/files/paths';
import { isUnseen, shownState, timeline, type Options, type PresetOffer } from '../src/lib/desktops/model';
import { gpusOf, resourceFacts } from '../src/lib/desktops/new/preset-facts';
import { firstChoice, limitWithin, timeRange } from '../src/lib/desktops/new/wish';
import { fieldTime, isoTime, ranges } from '../src/lib/desktops/operators/dates';
import { blank, formOf, presetOf } from '../src/lib/desktops/operators/preset';
import { extensions } from '../src/lib/desktops/time/extension';
import { idleStopsAt, lastWarning } from '../src/lib/desktops/time/warnings';
import { en } from '../src/lib/words/en';
import { at, session } from './session';

const later = (seconds: number) => new Date(Date.parse(at) + seconds * 1000).toISOString();
const offer = (id: string, some: Partial<PresetOffer> = {}): PresetOffer => ({ ...blank, id, name: id, ...some });
const options = (some: Partial<Options> = {}): Options => ({
  width: { min: 320, max: 7680, default: 1440 },
  height: { min: 240, max: 4320, default: 900 },
  sizes: [{ width: 1280, height: 720 }],
  time_limit_seconds: { min: 60, max: 86400, default: 28800 },
  sessions_per_person: 4,
  ready: true,
  missing: [],
  ...some,
});
const fitted = { width: 1000, height: 700 };

describe('what a form begins with', () => {
  const presets = [offer('a'), offer('b', { time_limit_seconds: 3600, longest_time_limit_seconds: 7200 })];

  it('is what was chosen last', () => {
    const chosen = { preset: 'b', width: 1280, height: 720, time_limit_seconds: 7200 };
    expect(firstChoice(options({ presets, chosen }), fitted)).toEqual({
      preset: 'b', size: '1280x720', width: 1280, height: 720, limit: 7200,
    });
  });

  it('is the first preset where the last one is gone', () => {
    const chosen = { preset: 'gone', width: 1280, height: 720, time_limit_seconds: 7200 };
    expect(firstChoice(options({ presets, chosen }), fitted)).toMatchObject({ preset: 'a', size: 'fit', limit: 28800 });
  });

  it('keeps a time only where the preset allows it', () => {
    const range = timeRange(presets[1], options());
    expect(limitWithin(36000, range)).toBe(3600);
    expect(limitWithin(5400, range)).toBe(5400);
  });
});

describe('what a preset gives', () => {
  it('is said in words', () => {
    const facts = { cpus: 4, memory_bytes: 16e9, gpus: 'a100:2', partition: 'viz' };
    expect(resourceFacts(facts, en.using.presets, 'en')).toEqual([
      '4 cores', '16 GB of memory', '2 GPUs (a100)', 'partition viz',
    ]);
    expect(gpusOf('')).toEqual({ number: 0, kind: '' });
  });

  it('goes through the form unchanged', () => {
    const preset = { ...blank, launcher: 'slurm', memory_bytes: 2.5e9, cpus: 2, people: ['kim', 'lee'], gpus: '1' };
    expect(presetOf(formOf(preset))).toEqual(preset);
    expect(presetOf({ ...formOf(preset), launcher: 'local' }).gpus).toBe('');
  });
});

describe('the time of a desktop', () => {
  it('is extended by what is possible', () => {
    const ends = { ends_at: at, extendable_until: later(3 * 3600) };
    expect(extensions(session('a', ends)).map((one) => one.seconds)).toEqual([3600, 7200, 10800]);
    expect(extensions(session('a', ends)).at(-1)?.most).toBe(true);
    expect(extensions(session('a', { ends_at: at, extendable_until: later(600) })).map((one) => one.seconds)).toEqual([600]);
    expect(extensions(session('a', { ends_at: at }))).toEqual([]);
  });

  it('is warned of at fifteen and at five minutes', () => {
    expect([null, 901, 900, 301, 300, 1].map(lastWarning)).toEqual([null, null, 900, 900, 300, 300]);
  });

  it('ends when nobody uses it, as the portal says', () => {
    const idle = { idle_warned_at: at, idle_stop_seconds: 600, kept_at: later(60) };
    expect(idleStopsAt(session('a', { idle_stop_seconds: 600 }))).toBeNull();
    expect(idleStopsAt(session('a', idle))).toBe(Date.parse(later(660)));
    // Whoever comes late gets the whole warning.
    const late = { idle_warned_at: later(1000), idle_stop_seconds: 600 };
    expect(idleStopsAt(session('a', late))).toBe(Date.parse(later(1300)));
    expect(idleStopsAt(session('a', late), 60)).toBe(Date.parse(later(1060)));
  });
});

describe('a session of the cluster', () => {
  it('stays what it is while only the scheduler is silent', () => {
    const silent = session('a', { unknown_since: at, unknown_reason: 'scheduler' });
    expect([shownState(silent), isUnseen(silent)]).toEqual(['ready', false]);
    expect(shownState(session('a', { unknown_since: at, unknown_reason: 'agent' }))).toBe('unknown');
  });

  it('shows the queue among its stages', () => {
    const names = (launcher: string) => timeline(session('a', { launcher }), 0).map((stage) => stage.name);
    expect(names('slurm')).toContain('queue');
    expect(names('local')).not.toContain('queue');
  });
});

describe('a small chart', () => {
  const pulse = (seconds: number) => ({
    at: later(seconds), idle_seconds: 0, cpu_percent: 50, memory_bytes: 1e9, width: 1, height: 1, viewers: 0,
  });

  it('goes on with heartbeats and forgets what is older than an hour', () => {
    const first = withPulse([], pulse(0));
    expect(withPulse(first, pulse(0))).toBe(first);
    expect(withPulse(first, pulse(4000))).toHaveLength(1);
    expect(withPulse(first, pulse(5))).toHaveLength(2);
  });

  it('is drawn with gaps where nothing was heard', () => {
    const points = [0, 5, 2000].map((seconds) => ({ at: seconds * 1000, cpu: 50, memory: null }));
    expect(line(points, (point) => point.cpu, 100, 2_000_000).match(/M/g)).toHaveLength(2);
    expect(line(points, (point) => point.memory, 100, 2_000_000)).toBe('');
    expect(top(points, (point) => point.cpu, 30)).toBe(50);
  });
});

describe('paths', () => {
  it('are joined and taken apart', () => {
    expect(join('/', 'a')).toBe('/a');
    expect(join('/home/kim', 'a b')).toBe('/home/kim/a b');
    expect([parent('/home/kim'), parent('/home'), parent('/')]).toEqual(['/home', '/', '/']);
    expect(crumbs('/home/kim').map((crumb) => crumb.path)).toEqual(['/', '/home', '/home/kim']);
  });
});

describe('dates of a form', () => {
  it('come back as they were', () => {
    const field = fieldTime(at);
    expect(isoTime(field)).toBe(at);
    expect(isoTime('')).toBeNull();
  });

  it('know the month before', () => {
    expect(ranges(new Date(2026, 0, 15)).last).toEqual({ from: '2025-12-01', to: '2025-12-31' });
  });
});
