import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { hardwareErrors, hardwareForm, hardwareWish, networksFor } from '../src/lib/machines/hardware';
import { isoFacts } from '../src/lib/machines/isos/facts';
import { Sha256 } from '../src/lib/machines/isos/sha256';
import { filtered, sorted } from '../src/lib/machines/list/table';
import { ordered, withList, withNews, without, withOperation, type Machines } from '../src/lib/machines/merge';
import { hasScreen, isOn, lacksMedium, powerActs, type Machine } from '../src/lib/machines/model';
import { errorsOf, firstForm, hostOf, promisesMore, wishOf } from '../src/lib/machines/new/wish';
import { gigabyte, size, wholeGigabytes } from '../src/lib/machines/size';
import { bootWords, driveWords, mediumWords, orderWords } from '../src/lib/machines/telling';
import { machines as words } from '../src/lib/words/en/machines';
import { iso, machine, operation, options } from './machine';

const of = (...all: Machine[]): Machines => Object.fromEntries(all.map((item) => [item.id, item]));
const inserted = [{ target: 'sda', iso: 'tiny.iso', path: '/isos/tiny.iso', missing: false }];

describe('live news of machines', () => {
  it('replace what is older or as old, and never what is newer', () => {
    const have = machine('a', { version: 5, state: 'running' });
    expect(withNews(of(have), machine('a', { version: 4 })).a).toBe(have);
    expect(withNews(of(have), machine('a', { version: 5, queued: 2 })).a?.queued).toBe(2);
    expect(withNews(of(have), machine('a', { version: 6, state: 'paused' })).a?.state).toBe('paused');
  });

  it('are not undone by a list that was asked for before them', () => {
    const heard = machine('a', { version: 3, state: 'running' });
    const list = [machine('a', { version: 3, state: 'starting' }), machine('gone')];
    const merged = withList(of(heard, machine('new')), list, new Set(['a', 'new', 'gone']));
    expect(merged.a?.state).toBe('running');
    expect(Object.keys(merged).sort()).toEqual(['a', 'new']);
    expect(Object.keys(without(merged, 'a'))).toEqual(['new']);
  });

  it('of work show its progress, and nothing once it is over', () => {
    const begun = withOperation(of(machine('a')), operation('1', 'a', { progress: 0.5 }));
    expect(begun.a?.operation?.progress).toBe(0.5);
    const other = withOperation(begun, operation('2', 'a', { state: 'queued' }));
    expect(other.a?.operation?.id).toBe('1');
    const over = withOperation(other, operation('1', 'a', { state: 'done' }));
    expect(over.a?.operation).toBeNull();
    expect(withOperation(over, operation('3', 'nobody'))).toBe(over);
  });

  it('are shown newest first', () => {
    const all = of(machine('a'), machine('b', { created_at: '2026-11-21T00:00:00Z' }));
    expect(ordered(all).map((item) => item.id)).toEqual(['b', 'a']);
  });
});

describe('a machine', () => {
  it('that is not seen counts as what it was', () => {
    expect(isOn(machine('a', { state: 'unknown', last_state: 'running' }))).toBe(true);
    expect(hasScreen(machine('a', { state: 'unknown', last_state: 'running', screenshot: true }))).toBe(false);
    expect(hasScreen(machine('a', { state: 'paused', screenshot: true }))).toBe(true);
  });

  it('offers what its state allows', () => {
    expect(powerActs(machine('a'))).toEqual(['start']);
    expect(powerActs(machine('a', { state: 'running' }))[0]).toBe('shut_down');
    expect(powerActs(machine('a', { state: 'paused' }))[0]).toBe('resume');
    expect(powerActs(machine('a', { state: 'unknown' }))).toEqual([]);
  });

  it('cannot start from a CD that is not there', () => {
    expect(lacksMedium(machine('a', { boot_order: 'cdrom' }))).toBe(true);
    expect(lacksMedium(machine('a', { boot_order: 'cdrom', current_media: inserted }))).toBe(false);
    expect(lacksMedium(machine('a', { boot_order: 'cdrom', next_boot: { boot_order: 'hd', why: 'asked' } }))).toBe(false);
  });

  it('says what it boots: what it did while it runs, what it would otherwise', () => {
    const off = machine('a', { next_boot: { boot_order: 'hd_cdrom', why: 'installed' } });
    expect(bootWords(off, words)).toBe('The next start alone: Disk, then CD');
    expect(bootWords({ ...off, state: 'running', current_boot_device: 'cdrom' }, words)).toBe('Booted from a CD');
    expect(orderWords('other', words)).toBe(words.orderOther);
    expect(mediumWords(machine('a', { current_media: inserted }))).toBe('tiny.iso');
    expect(driveWords(machine('a'), 'sdb', words)).toBe('CD drive 2');
  });
});

describe('the form for a new machine', () => {
  it('begins with what the site usually gives, and with the only ISO there is', () => {
    const form = firstForm(options, [iso('tiny.iso'), iso('drivers.iso', { boots: [] })]);
    expect(form).toMatchObject({ iso: '/isos/tiny.iso', cpus: 2, memory: 2, disk: 20, order: 'cdrom_hd', firmware: 'bios' });
    expect(firstForm(options, [iso('one.iso'), iso('two.iso')]).iso).toBe('');
  });

  it('says beside each field what is wrong', () => {
    const form = { ...firstForm(options, []), name: ' ', cpus: 1.5, memory: 0, disk: null };
    const errors = errorsOf(form, options, words, 'en');
    expect(errors.name).toBe(words.new.nameMissing);
    expect(errors.cpus).toBe(words.new.whole);
    expect(errors.memory).toBe('Between 16 MB and 64 GB.');
    expect(errors.disk).toBe('Between 1 MB and 2 TB.');
  });

  it('knows the room where the machine would go', () => {
    const form = { ...firstForm(options, []), name: 'a', disk: 100 };
    expect(hostOf(form, options.hosts)?.name).toBe('two');
    expect(errorsOf(form, options, words, 'en')).toEqual({});
    expect([promisesMore(form, options.hosts), promisesMore({ ...form, host: 'one' }, options.hosts)]).toEqual([false, true]);
    expect(errorsOf({ ...form, host: 'one', disk: 1100 }, options, words, 'en').disk).toBe('The whole pool holds 1,000 GB.');
  });

  it('asks in bytes', () => {
    const wish = wishOf({ ...firstForm(options, []), name: ' 웹 서버 ', memory: 0.125, disk: 1.5 });
    expect(wish).toMatchObject({ name: '웹 서버', memory_bytes: 128 * 1024 ** 2, disk_bytes: 1.5 * gigabyte, start: true });
    expect(wish.iso_path).toBeUndefined();
  });
});

describe('lists and sizes', () => {
  it('sort by numbers in names and filter by words and state', () => {
    const list = [machine('1', { name: 'Node 10', notes: 'mesh' }), machine('2', { name: 'Node 9', state: 'running' })];
    expect(sorted(list, { column: 'name', down: false }, 'en').map((item) => item.name)).toEqual(['Node 9', 'Node 10']);
    expect(sorted(list, { column: 'state', down: true }, 'ko')[0]?.name).toBe('Node 9');
    expect(filtered(list, 'MESH', '')).toHaveLength(1);
    expect(filtered(list, '', 'running').map((item) => item.id)).toEqual(['2']);
  });

  it('count in powers of 1024', () => {
    expect(size(512 * 1024 ** 2, 'en')).toBe('512 MB');
    expect(size(1.5 * gigabyte, 'en')).toBe('1.5 GB');
    expect(size(20 * gigabyte, 'ko')).toBe('20GB');
    expect(wholeGigabytes(2.9 * gigabyte)).toBe(2);
  });

  it('tell of an ISO what can be done with it', () => {
    expect(isoFacts(iso('a', { boots: ['bios', 'uefi'], label: 'TINY' }), words, 'en')).toEqual([
      '600 MB',
      'boots with BIOS',
      'boots with UEFI',
      'TINY',
    ]);
    expect(isoFacts(iso('a', { boots: [] }), words, 'en')[1]).toBe('not bootable');
  });
});

describe('the checksum of a file', () => {
  const bytes = Uint8Array.from({ length: 100_003 }, (_, index) => (index * 31 + (index >> 7)) & 0xff);

  it('is that of everybody else', () => {
    for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, bytes.length]) {
      const data = bytes.subarray(0, length);
      expect(new Sha256().add(data).hex()).toBe(createHash('sha256').update(data).digest('hex'));
    }
  });

  it('is the same however it is fed', () => {
    const sum = new Sha256();
    for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 7) % 201 || 1) sum.add(bytes.subarray(at, at + step));
    expect(sum.hex()).toBe(createHash('sha256').update(bytes).digest('hex'));
  });
});

describe('the form for the hardware of a machine', () => {
  const its = { cpus: 2, memory_bytes: 192 * 1024 ** 2, network: 'bridge:br0' };

  it('asks for what is another, and for nothing that is only rounded', () => {
    expect(hardwareWish(hardwareForm(its), its)).toEqual({});
    expect(hardwareWish({ ...hardwareForm(its), cpus: 3 }, its)).toEqual({ cpus: 3 });
    expect(hardwareWish({ ...hardwareForm(its), memory: 0.5 }, its)).toEqual({ memory_bytes: 512 * 1024 ** 2 });
  });

  it('says what is wrong of what was changed', () => {
    const wrong = hardwareErrors({ cpus: 17, memory: null, network: 'none' }, its, options, words, 'en');
    expect(wrong.cpus).toBe('Between 1 and 16.');
    expect(wrong.memory).toMatch(/^Between /);
    expect(hardwareErrors(hardwareForm(its), its, options, words, 'en')).toEqual({});
  });

  it('offers the network that it has, also one that is not given any more', () => {
    expect(networksFor(its, options)).toEqual(['bridge:br0', 'user', 'none']);
    expect(networksFor({ ...its, network: 'none' }, options)).toEqual(options.networks);
  });
});
