/** Times between the API (ISO, UTC) and the fields of a form (local, without a zone). Pure. */

const two = (number: number) => String(number).padStart(2, '0');

/** "2026-11-20", as a date field has it. */
export function fieldDate(at: Date): string {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** "2026-11-20T14:20", as a field for date and time has it; "" for none. */
export function fieldTime(iso: string | null): string {
  if (!iso) return '';
  const at = new Date(iso);
  return `${fieldDate(at)}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

export function isoTime(field: string): string | null {
  return field ? new Date(field).toISOString() : null;
}

export interface DateRange {
  from: string;
  to: string;
}

export function ranges(now: Date): { this: DateRange; last: DateRange; week: DateRange } {
  const day = (year: number, month: number, date: number) => fieldDate(new Date(year, month, date));
  const [year, month, date] = [now.getFullYear(), now.getMonth(), now.getDate()];
  return {
    this: { from: day(year, month, 1), to: fieldDate(now) },
    last: { from: day(year, month - 1, 1), to: day(year, month, 0) },
    week: { from: day(year, month, date - 6), to: fieldDate(now) },
  };
}
