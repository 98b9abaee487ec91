/** A schedule as people read it. Pure. */
import type { Schedule } from '../model';
import type { partWords } from '../part-words';

export const hours = Array.from({ length: 24 }, (_, hour) => hour);

export function hourText(hour: number): string {
  return `${String(hour).padStart(2, '0')}:00`;
}

export function scheduleText(schedule: Schedule, words: ReturnType<typeof partWords>['backups']): string {
  const hour = hourText(schedule.hour);
  if (schedule.every === 'off') return words.schedules.off;
  if (schedule.every === 'daily') return words.schedules.daily(hour);
  return words.schedules.weekly(words.weekdays[schedule.weekday], hour);
}
