import type { Texts } from '../en'

export const home: Texts['home'] = {
  title: 'Laufende Auktionen',
  count: (count: string) => `${count} sind gerade offen`,
  sort: 'Sortieren nach',
  ending: 'Endet bald',
  newest: 'Neueste',
  all: 'Alle laufenden Auktionen',
  open: 'Jetzt offen',
  welcome: 'Karten live ersteigern',
  welcomeText: 'Alle sehen denselben Preis im selben Moment, und jeder kann prüfen, wie er zustande kam.',
  steps: [
    {
      title: 'Konto erstellen',
      detail: 'Ein Name, eine Adresse und ein Passwort: Sie können sofort bieten.',
    },
    {
      title: 'Karte aussuchen',
      detail: 'Sehen Sie dem Preis zu. Im Auktionsraum steht, wer führt und wie lange es dauert.',
    },
    {
      title: 'Höchstgebot nennen',
      detail: 'Wir bieten für Sie nur so viel, wie zum Führen nötig ist. Ihr Höchstgebot bleibt geheim.',
    },
  ],
  more: 'Mehr anzeigen',
  emptyTitle: 'Keine Auktion ist offen',
  emptyText:
    'Auf einem neuen System gibt es noch nichts zu ersteigern. Dieser Befehl füllt es mit Karten, Nutzern und Auktionen:',
  emptyNote: 'Diese Seite zeigt die Auktionen, sobald sie öffnen.',
  failedTitle: 'Die Auktionen konnten nicht geladen werden',
  again: 'Erneut versuchen',
  bids: (count: number) => (count === 1 ? '1 Gebot' : `${count} Gebote`),
  noBids: 'Noch keine Gebote',
  currentBid: 'Aktuelles Gebot',
  startingBid: 'Startgebot',
  timeLeft: 'Restzeit',
  leading: 'Sie führen',
  noPicture: 'Kein Bild',
}
