/** The app on a device: push messages, installation, updates, and without a network. */
export const device = {
  push: 'Push messages',
  pushAbout: 'You hear at once when you are outbid, also with this page closed. Choose the kinds above.',
  pushWhy:
    'Your browser will ask you for permission. Messages say what happened and to which auction; they end when you log out.',
  pushTurnOn: 'Turn on for this device',
  pushTurnedOn: 'This device gets push messages now.',
  pushFailed: 'The browser could not reach its push service. Try again later.',
  pushBlocked:
    'You have blocked notifications of this site. Allow them in the settings of your browser to turn this on.',
  pushMissing:
    'This browser has no push messages here. On an iPhone or iPad, add the app to the home screen first.',
  devices: 'Devices with push messages',
  noDevices: 'No device gets push messages.',
  quiet: 'Quiet hours',
  quietAbout: 'No push messages come in this time. What came meanwhile comes afterwards, together.',
  quietFrom: 'From',
  quietUntil: 'Until',
  quietOff: 'Quiet hours are off.',
  quietZone: (zone: string) => `In the time zone ${zone}.`,
  noQuiet: 'Turn off',
  app: 'The app',
  appAbout: 'Install it: a window of its own, an icon, and your portfolio without a network.',
  install: 'Install the app',
  installByMenu: 'To install it, choose “Install” or “Add to home screen” in the menu of your browser.',
  installed: 'You are using the installed app.',
  newVersion: 'There is a new version of this app.',
  update: 'Reload',
  updateLoses: 'What you have typed on this page will be lost.',
  updateAnyway: 'Reload anyway',
  updateLater: 'Later',
  offline: (asOf: string) =>
    `Offline. What you see is as of ${asOf}; bidding is off until the connection is back.`,
  waits: 'You are offline: this will be done when the connection is back.',
  doneLater: (count: number) =>
    count === 1 ? 'What you did offline is done.' : `${count} things that you did offline are done.`,
}
