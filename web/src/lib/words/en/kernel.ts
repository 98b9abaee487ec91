import { one } from '../plural';

export const kernel = {
  name: 'Madang',
  skip: 'Skip to content',
  loading: 'Loading…',
  nav: {
    label: 'Main',
    desktops: 'Desktops',
    site: 'Site',
    people: 'People',
    audit: 'Audit trail',
    account: 'My account',
    api: 'API',
  },
  actions: {
    cancel: 'Cancel',
    close: 'Close',
    save: 'Save',
    saved: 'Saved.',
    copy: 'Copy',
    copied: 'Copied',
    copyFailed: 'Your browser did not allow copying. Select the text and copy it yourself.',
    tryAgain: 'Try again',
    remove: 'Remove',
    more: 'More actions',
    showMore: 'Show more',
    back: 'Back',
    search: 'Search',
    later: 'Later',
    dismiss: 'Dismiss',
  },
  theme: { label: 'Theme', system: 'Like the system', light: 'Light', dark: 'Dark' },
  language: { label: 'Language' },
  live: {
    open: 'Live',
    connecting: 'Connecting…',
    lost: 'Reconnecting…',
    openHint: 'What you see is up to date.',
    lostHint: 'The portal does not answer. What you see may be out of date; it comes back by itself.',
    offFor: (time: string) => `No connection for ${time}`,
  },
  userMode: {
    short: (user: string) => `Everything runs as ${user}`,
    text: (user: string) =>
      `This portal was started by an ordinary user, so every desktop, whoever opens it, runs as the Unix user ${user} and shares that user’s files.`,
  },
  palette: {
    open: 'Search and commands',
    title: 'Go to or do',
    placeholder: 'Type a place, a desktop or an action',
    nothing: 'Nothing fits. Try fewer letters.',
    goTo: 'Go to',
    desktops: 'Desktops',
    actions: 'Actions',
    settings: 'Appearance',
    newDesktop: 'New desktop',
    openDesktop: (name: string) => `Open ${name}`,
    signOut: 'Sign out',
  },
  missing: {
    title: 'There is nothing here',
    text: 'The address leads nowhere, or to something you may not see.',
    action: 'To my desktops',
  },
  problem: {
    detailOf: 'Details',
    retryIn: (seconds: number) => `Possible again in ${one('en', seconds, '1 second', '# seconds')}`,
  },
  codes: {
    offline: {
      title: 'The portal does not answer.',
      hint: 'Check your network. If others have the same trouble, the portal may be restarting; nothing you typed is lost.',
    },
    unreadable: {
      title: 'The portal answered with something this page does not understand.',
      hint: 'Reload the page. If it happens again, tell your administrator.',
    },
    page_mistake: {
      title: 'This page made a mistake.',
      hint: 'Reload the page. If it happens again, tell your administrator what you did.',
    },
  } as Record<string, { title: string; hint?: string } | undefined>,
};
