/** Choices kept in this browser. A browser that forbids it still works; it only forgets. */
export function remembered(key: string): string | null {
  try {
    return localStorage.getItem(`madang.${key}`);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`madang.${key}`);
    else localStorage.setItem(`madang.${key}`, value);
  } catch {
    // Private windows may refuse; nothing depends on it.
  }
}
