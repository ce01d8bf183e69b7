import type { Texts } from '../en'
import * as account from './account'
import * as browse from './browse'
import * as card from './card'
import * as device from './device'
import * as errors from './errors'
import * as home from './home'
import * as log from './log'
import * as mint from './mint'
import * as operation from './operation'
import * as portfolio from './portfolio'
import * as room from './room'
import * as scan from './scan'
import * as sell from './sell'
import * as session from './session'
import * as shell from './shell'
import * as trades from './trades'
import * as wallet from './wallet'

export const de: Texts = {
  ...account,
  ...browse,
  ...card,
  ...device,
  ...errors,
  ...home,
  ...log,
  ...mint,
  ...operation,
  ...portfolio,
  ...room,
  ...scan,
  ...sell,
  ...session,
  ...shell,
  ...trades,
  ...wallet,
}
