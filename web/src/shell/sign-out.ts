import { notices } from '../lib/kernel/notices.svelte';
import { i18n } from '../lib/kernel/i18n/index.svelte';
import { problemOf } from '../lib/kernel/problem';
import { problemWords } from '../lib/kernel/problem-words';
import { router } from '../lib/kernel/router.svelte';
import { identityApi } from '../lib/identity/identity-api';
import { myself } from '../lib/identity/me.svelte';

export async function signOut(): Promise<void> {
  try {
    await identityApi.signOut();
  } catch (error) {
    const problem = problemOf(error);
    // Signed out already is what was wanted.
    if (problem.status !== 401) {
      notices.say(problemWords(problem, i18n.t).title, 'bad');
      return;
    }
  }
  myself.forget();
  router.go('/sign-in', { replace: true });
}
