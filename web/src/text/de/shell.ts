import type { Texts } from '../en'

export const brand: Texts['brand'] = 'Elite Card Exchange'

export const shell: Texts['shell'] = {
  skip: 'Zum Inhalt springen',
  logIn: 'Anmelden',
  register: 'Konto erstellen',
  logOut: 'Abmelden',
  available: 'Verfügbar',
  account: 'Konto',
  menu: (name: string) => `Konto von ${name}`,
  sections: 'Bereiche',
  theme: 'Farbschema',
  themeLight: 'Helles Farbschema verwenden',
  themeDark: 'Dunkles Farbschema verwenden',
  language: 'Sprache',
  notFoundTitle: 'Diese Seite gibt es nicht',
  notFoundText: 'Vielleicht ist die Adresse falsch geschrieben, oder die Seite wurde verschoben.',
  home: 'Zu den laufenden Auktionen',
  failedTitle: 'Diese Seite konnte nicht angezeigt werden',
  failedText:
    'Ein Teil der Anwendung konnte nicht geladen werden oder ist fehlgeschlagen. Laden Sie die Seite neu.',
  reload: 'Neu laden',
  loading: 'Wird geladen …',
}

export const connection: Texts['connection'] = {
  connecting: 'Verbindung wird aufgebaut …',
  lost: (asOf: string) =>
    `Verbindung unterbrochen. Preise von ${asOf}; bieten können Sie, wenn sie wieder steht.`,
  lostEarly: 'Noch keine Verbindung zum Server. Neuer Versuch …',
  stopped: 'Der Server hat diese Verbindung beendet.',
  token: 'Ihre Sitzung ist abgelaufen. Melden Sie sich zum Bieten erneut an.',
  retry: 'Neu verbinden',
  latency: (ms: number) => `${ms} ms`,
  latencyLabel: 'Antwortzeit des Servers',
  live: 'Live',
  off: 'Offline',
}

export const time: Texts['time'] = { days: 'T', hours: 'h' }

export const ui: Texts['ui'] = {
  close: 'Schließen',
  cancel: 'Abbrechen',
  save: 'Speichern',
  saved: 'Gespeichert',
  working: 'Einen Moment …',
  more: 'Mehr anzeigen',
  again: 'Erneut versuchen',
  failed: 'Das konnte nicht geladen werden',
  copy: 'Kopieren',
  copied: 'Kopiert',
  show: 'Anzeigen',
  hide: 'Verbergen',
  dismiss: 'Ausblenden',
}
