const rules = new Map<string, Intl.PluralRules>();

/** The form for an amount, by the language's own rules; `#` in it is the amount. */
export function one(language: string, amount: number, singular: string, plural: string): string {
  const rule = rules.get(language) ?? new Intl.PluralRules(language);
  rules.set(language, rule);
  const form = rule.select(amount) === 'one' ? singular : plural;
  return form.replace('#', new Intl.NumberFormat(language).format(amount));
}
