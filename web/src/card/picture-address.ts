/** Where this site serves a picture of a card: content of IPFS is stored here, too, and browsers load nothing from elsewhere. */
export const pictureAddress = (uri: string): string =>
  uri.startsWith('ipfs://') ? `/content/${uri.slice('ipfs://'.length)}` : uri
