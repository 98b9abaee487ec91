import { session } from '../api';
import { remember, remembered } from '../stored';
import type { Messages } from '../../words/en';
import { pickLanguage, type Language } from './languages';

const load: Record<Language, () => Promise<Messages>> = {
  en: async () => (await import('../../words/en')).en,
  ko: async () => (await import('../../words/ko')).ko,
};

/** The words of the page. Only the language in use is loaded; `start` comes before anything is drawn. */
class Words {
  language = $state<Language>('en');
  #messages = $state.raw<Messages | null>(null);
  #asked = 0;
  #shown = 0;

  get t(): Messages {
    if (!this.#messages) throw new Error('The words are asked for before they are loaded.');
    return this.#messages;
  }

  async start(): Promise<void> {
    await this.use(pickLanguage(remembered('language'), navigator.languages));
  }

  /** The browser's and the person's are asked for side by side: the later one counts, whichever is loaded first. */
  async use(language: Language): Promise<void> {
    const turn = ++this.#asked;
    const messages = await load[language]();
    if (turn < this.#shown) return;
    this.#shown = turn;
    this.#messages = messages;
    this.language = language;
    session.language = language;
    document.documentElement.lang = language;
  }

  /** Identity keeps the choice with the person, when somebody is signed in. */
  chosen: (language: Language) => void = () => {};

  async choose(language: Language): Promise<void> {
    remember('language', language);
    await this.use(language);
    this.chosen(language);
  }
}

export const i18n = new Words();
