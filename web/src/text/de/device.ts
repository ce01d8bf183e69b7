export const device = {
  push: 'Push-Nachrichten',
  pushAbout:
    'Sie erfahren sofort, wenn Sie überboten werden, auch wenn diese Seite geschlossen ist. Die Arten wählen Sie oben.',
  pushWhy:
    'Ihr Browser fragt Sie um Erlaubnis. Die Nachrichten sagen, was in welcher Auktion geschehen ist; sie enden, wenn Sie sich abmelden.',
  pushTurnOn: 'Auf diesem Gerät einschalten',
  pushTurnedOn: 'Dieses Gerät bekommt jetzt Push-Nachrichten.',
  pushFailed: 'Der Browser konnte seinen Push-Dienst nicht erreichen. Versuchen Sie es später noch einmal.',
  pushBlocked:
    'Sie haben Benachrichtigungen dieser Seite blockiert. Erlauben Sie sie in den Einstellungen Ihres Browsers, um dies einzuschalten.',
  pushMissing:
    'Dieser Browser hat hier keine Push-Nachrichten. Legen Sie die App auf einem iPhone oder iPad zuerst auf den Home-Bildschirm.',
  devices: 'Geräte mit Push-Nachrichten',
  noDevices: 'Kein Gerät bekommt Push-Nachrichten.',
  quiet: 'Ruhezeit',
  quietAbout: 'In dieser Zeit kommen keine Push-Nachrichten. Was sich ansammelt, kommt danach zusammen.',
  quietFrom: 'Von',
  quietUntil: 'Bis',
  quietOff: 'Die Ruhezeit ist ausgeschaltet.',
  quietZone: (zone: string) => `In der Zeitzone ${zone}.`,
  noQuiet: 'Ausschalten',
  app: 'Die App',
  appAbout: 'Installieren Sie sie: ein eigenes Fenster, ein Symbol und Ihre Sammlung auch ohne Netz.',
  install: 'App installieren',
  installByMenu:
    'Zum Installieren wählen Sie „Installieren“ oder „Zum Home-Bildschirm“ im Menü Ihres Browsers.',
  installed: 'Sie verwenden die installierte App.',
  newVersion: 'Es gibt eine neue Version dieser App.',
  update: 'Neu laden',
  updateLoses: 'Was Sie auf dieser Seite eingegeben haben, geht verloren.',
  updateAnyway: 'Trotzdem neu laden',
  updateLater: 'Später',
  offline: (asOf: string) =>
    `Offline. Sie sehen den Stand von ${asOf}; bieten können Sie erst wieder mit Verbindung.`,
  waits: 'Sie sind offline: Das wird nachgeholt, sobald die Verbindung wieder da ist.',
  doneLater: (count: number) =>
    count === 1
      ? 'Was Sie offline getan haben, ist nachgeholt.'
      : `${count} Dinge, die Sie offline getan haben, sind nachgeholt.`,
}
