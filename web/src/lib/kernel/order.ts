/** What long lists share: their order, and the choice of those that hold what was typed. Pure. */
type Key<T> = (one: T) => string | number;

/** By a key, then by id; words as the language sorts them, numbers in them by their value. */
export function ordered<T extends { id: string }>(list: T[], key: Key<T>, down: boolean, language: string): T[] {
  const words = new Intl.Collator(language, { numeric: true });
  const compare = (one: T, other: T) => {
    const [first, second] = [key(one), key(other)];
    if (typeof first === 'string' && typeof second === 'string') return words.compare(first, second);
    return Number(first) - Number(second);
  };
  return [...list].sort((one, other) => (down ? -1 : 1) * compare(one, other) || words.compare(one.id, other.id));
}

/** Those of which a word holds the text, whatever its case; all when there is none. */
export function holding<T>(list: T[], text: string, words: (one: T) => string[]): T[] {
  const wish = text.trim().toLowerCase();
  return wish ? list.filter((one) => words(one).some((word) => word.toLowerCase().includes(wish))) : list;
}
