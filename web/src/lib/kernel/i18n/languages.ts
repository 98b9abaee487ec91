export const languages = ['ko', 'en'] as const;
export type Language = (typeof languages)[number];

/** Each language in its own words. */
export const languageNames: Record<Language, string> = { ko: '한국어', en: 'English' };

/** The person's choice, then the browser's, then English. */
export function pickLanguage(chosen: string | null | undefined, browser: readonly string[]): Language {
  for (const wish of [chosen, ...browser]) {
    const short = wish?.slice(0, 2).toLowerCase();
    const found = languages.find((language) => language === short);
    if (found) return found;
  }
  return 'en';
}
