import type { Texts } from '../en'

export const scan: Texts['scan'] = {
  title: 'Karte scannen',
  about:
    'Halten Sie eine Karte vor die Kamera und finden Sie sie im Katalog. Das Bild wird nicht gespeichert.',
  start: 'Kamera verwenden',
  starting: 'Warten auf die Kamera …',
  take: 'Bild aufnehmen',
  choose: 'Bild auswählen',
  others: 'Oder ohne Live-Kamera:',
  aim: 'Die ganze Karte soll im Rahmen liegen.',
  live: 'Live-Bild der Kamera',
  shoot: 'Karte scannen',
  stop: 'Kamera schließen',
  faults: {
    refused:
      'Diese Website darf die Kamera nicht verwenden. Erlauben Sie es in den Einstellungen des Browsers, oder wählen Sie ein Bild aus.',
    none: 'Auf diesem Gerät wurde keine Kamera gefunden. Wählen Sie ein Bild aus.',
    busy: 'Die Kamera startet nicht: Vielleicht verwendet sie eine andere App. Schließen Sie diese, oder wählen Sie ein Bild aus.',
    insecure: 'Browser erlauben die Kamera nur auf Seiten mit https. Wählen Sie ein Bild aus.',
    unreadable: 'Diese Datei ist kein Bild, das dieser Browser zeigen kann.',
  },
  looking: 'Die Karte wird gesucht …',
  photo: 'Das Bild mit dem Umriss der Karte',
  photoOnly: 'Das Bild',
  found: 'Diese Karten sehen so aus',
  sure: (name: string) => `Es ist sehr wahrscheinlich ${name}.`,
  unsure: 'Es könnte eine dieser Karten sein.',
  none: 'Keine Karte erkannt',
  noneText:
    'Versuchen Sie es noch einmal: die ganze Karte im Bild, auf einfarbigem Grund, in gleichmäßigem Licht und ohne Spiegelung.',
  levels: { high: 'Sehr wahrscheinlich', middle: 'Wahrscheinlich', low: 'Möglich' },
  confidence: (level: string, share: string) => `${level} · ${share}`,
  again: 'Weitere Karte scannen',
  retry: 'Noch einmal',
  notThese: 'Keine davon: im Katalog suchen',
  search: 'Im Katalog suchen',
}
