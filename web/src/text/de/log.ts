import type { Texts } from '../en'

interface Who {
  name: string
  own: boolean
}
const verb = ({ name, own }: Who) => (own ? 'Sie haben' : `${name} hat`)
const who = ({ name, own }: Who) => (own ? 'Sie' : name)

export const log: Texts['log'] = {
  title: 'Wie die Auktion verlief',
  why: 'Warum habe ich verloren?',
  back: 'Zurück zur Auktion',
  scrub: 'Durch das Protokoll gehen',
  step: 'Schritt',
  stepOf: (index: number, count: number) => `Schritt ${index} von ${count}`,
  previous: 'Voriger Schritt',
  next: 'Nächster Schritt',
  price: 'Preis',
  leader: 'Führt',
  nobody: 'niemand',
  steps: 'Alle Schritte',
  cut: 'Dieses Protokoll ist sehr lang: Das sind seine ersten Schritte.',

  running:
    'Diese Auktion läuft noch. Sie sehen, was alle sehen dürfen: Höchstgebote bleiben bis zum Ende verborgen, außer Ihren eigenen.',
  watched: (price: string) => `Für ${price} verkauft. Sie hatten nicht geboten.`,
  won: (price: string) => `Sie haben gewonnen und ${price} gezahlt.`,
  cancelled: 'Abgebrochen: Niemand hat gewonnen.',
  unsold: 'Nicht verkauft: Kein Gebot hat die Bedingungen erfüllt.',
  bought: (price: string) => `Jemand hat sofort für ${price} gekauft. Damit endete die Auktion.`,
  lower: (winner: string, own: string, winning: string) =>
    `Ihr Höchstgebot war ${own}, das von ${winner} ${winning}. Daher wurde jedes Ihrer Gebote überboten.`,
  lowerUnknown: (winner: string) => `Das Höchstgebot von ${winner} war höher als Ihres.`,
  equal: (winner: string, own: string) =>
    `Sie und ${winner} hatten dasselbe Höchstgebot, ${own}. Von gleichen gewinnt das frühere.`,

  what: {
    listed: (seller: string, price: string) => `${seller} hat sie eingestellt, ab ${price}`,
    opened: 'Die Auktion begann',
    first: (bidder: Who) => `${verb(bidder)} als Erstes geboten`,
    raised: (bidder: Who) => `${verb(bidder)} das eigene Höchstgebot erhöht`,
    taken: (bidder: Who, leader: Who, price: string) => `${verb(bidder)} ${who(leader)} überboten: ${price}`,
    defended: (bidder: Who, leader: Who, price: string) =>
      `${verb(bidder)} geboten, ${leader.own ? 'Ihr Höchstgebot' : `das Höchstgebot von ${leader.name}`} hielt dagegen: ${price}`,
    bought: (bidder: Who, price: string) => `${verb(bidder)} für ${price} gekauft`,
    reserve: 'Der Mindestpreis wurde erreicht',
    extended: (by: string) => `Das Ende verschob sich um ${by}`,
    sold: (winner: Who, price: string) => `${verb(winner)} für ${price} gewonnen`,
    unsold: 'Sie endete ohne Verkauf',
    settled: 'Bezahlt: Die Karte hat den Besitzer gewechselt',
    cancelled: 'Sie wurde abgebrochen',
    other: 'Etwas anderes geschah',
  },
  rule: {
    listed: 'Ab jetzt gelten die Bedingungen des Verkäufers. Ein Mindestpreis bleibt verborgen.',
    opened: 'Ab ihrem Beginn nimmt eine Auktion Gebote an.',
    first: (amount?: string) =>
      `${amount ? `Bis ${amount}. ` : ''}Das erste Gebot führt zum Startpreis, wie hoch sein Höchstgebot auch ist. Erreicht es den Mindestpreis, steigt der Preis auf diesen.`,
    raised: (amount?: string) =>
      `${amount ? `Bis ${amount}. ` : ''}Wer führt und das eigene Höchstgebot erhöht, bietet nicht gegen sich selbst: Der Preis bleibt, außer der Mindestpreis wird damit erreicht.`,
    taken: (amounts?: [string, string]) =>
      `${amounts ? `${amounts[0]} gegen ${amounts[1]}. ` : ''}Das höhere Höchstgebot führt. Der Preis liegt einen Schritt über dem niedrigeren, aber nie über dem höheren.`,
    defended: (amounts?: [string, string]) =>
      `${amounts ? `${amounts[0]} gegen ${amounts[1]}. ` : ''}Das führende Höchstgebot war mindestens so hoch: Das System bot dafür einen Schritt mehr, aber nie mehr als dieses Höchstgebot.`,
    equal: (amount: string) =>
      `Beide Höchstgebote waren ${amount}. Von gleichen führt das frühere, zu diesem Preis.`,
    bought: 'Wer sofort kauft, zahlt den vom Verkäufer genannten Preis, und die Auktion endet.',
    reserve: 'Ein Gebot hat den verborgenen Mindestpreis erreicht: Es wird verkauft.',
    softClose: 'Ein Gebot im letzten Moment verschiebt das Ende, damit andere antworten können.',
    outage: 'Eine Zeit lang konnte niemand bieten: Das Ende verschob sich um ebenso viel.',
    time: 'Ist die Zeit um, gewinnt, wer führt, wenn der Mindestpreis erreicht ist.',
    buy_now: 'Sie wurde sofort gekauft.',
    operator: 'Der Betrieb hat sie beendet, als wäre die Zeit um.',
    unsold: 'Ohne Gebot oder unter dem Mindestpreis wird nichts verkauft.',
    settled: 'Das Geld ging an den Verkäufer und die Karte an den Gewinner, in einer Transaktion.',
    cancelled: 'Vor dem ersten Gebot kann der Verkäufer abbrechen.',
    other: 'Diese App kennt dieses Ereignis noch nicht.',
  },
}
