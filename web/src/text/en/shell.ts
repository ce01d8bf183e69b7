export const brand = 'Elite Card Exchange'

export const shell = {
  skip: 'Skip to the content',
  logIn: 'Log in',
  register: 'Create account',
  logOut: 'Log out',
  available: 'Available',
  account: 'Account',
  menu: (name: string) => `Account of ${name}`,
  sections: 'Sections',
  theme: 'Theme',
  themeLight: 'Use the light theme',
  themeDark: 'Use the dark theme',
  language: 'Language',
  notFoundTitle: 'There is no such page',
  notFoundText: 'The address may be mistyped, or the page has moved.',
  home: 'To the live auctions',
  failedTitle: 'This page could not be shown',
  failedText: 'Part of the app could not be loaded, or it has failed. Reload to try again.',
  reload: 'Reload',
  loading: 'Loading…',
}

export const connection = {
  connecting: 'Connecting…',
  lost: (asOf: string) => `Connection lost. Prices are as of ${asOf}; bidding is off until it is back.`,
  lostEarly: 'No connection to the server yet. Trying again…',
  stopped: 'The server has ended this connection.',
  token: 'Your session has expired. Log in again to bid.',
  retry: 'Connect again',
  latency: (ms: number) => `${ms} ms`,
  latencyLabel: 'Round trip to the server',
  live: 'Live',
  off: 'Offline',
}

/** Units beside a number. */
export const time = { days: 'd', hours: 'h' }

/** What parts of every screen say. */
export const ui = {
  close: 'Close',
  cancel: 'Cancel',
  save: 'Save',
  saved: 'Saved',
  working: 'One moment…',
  more: 'Show more',
  again: 'Try again',
  failed: 'This could not be loaded',
  copy: 'Copy',
  copied: 'Copied',
  show: 'Show',
  hide: 'Hide',
  dismiss: 'Dismiss',
}
