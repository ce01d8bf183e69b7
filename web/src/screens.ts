import type { ComponentType } from 'react'
import { text } from './text/text'

/** What a screen gets: the parts of its path (`/users/{username}`), and what stands after the `?`. */
export interface ScreenProps {
  params: Readonly<Record<string, string>>
  query: URLSearchParams
}

export interface Screen {
  path: string
  /** Its component is the default export; it is loaded when somebody goes there. */
  load: () => Promise<{ default: ComponentType<ScreenProps> }>
  title: () => string
  /** Guests are sent to the log-in, and come back. */
  session?: boolean
  /** Its place in the menu: of the site, or of one's account. */
  nav?: 'site' | 'account'
  /** It is in the menu of users with one of these roles; the server decides who may see it. */
  role?: readonly string[]
}

/** Every screen: a line here, its folder, and its path in gateway/web/pages.py, which a test compares. */
export const SCREENS: readonly Screen[] = [
  { path: '/', load: () => import('./home/home-page'), title: () => text.home.title, nav: 'site' },
  { path: '/browse', load: () => import('./browse/browse-page'), title: () => text.browse.title, nav: 'site' },
  { path: '/scan', load: () => import('./scan/scan-page'), title: () => text.scan.title, session: true, nav: 'site' },
  { path: '/cards/{card}', load: () => import('./card/card-page'), title: () => text.card.title },
  { path: '/sell', load: () => import('./sell/sell-page'), title: () => text.sell.title, session: true, nav: 'site' },
  { path: '/listings', load: () => import('./sell/listings-page'), title: () => text.sell.listingsTitle, session: true, nav: 'account' },
  { path: '/auctions/{auction}', load: () => import('./room/room-page'), title: () => text.room.title },
  { path: '/auctions/{auction}/log', load: () => import('./auction-log/log-page'), title: () => text.log.title },
  { path: '/login', load: () => import('./session/log-in-page'), title: () => text.session.logInTitle },
  { path: '/register', load: () => import('./session/register-page'), title: () => text.session.registerTitle },
  { path: '/login/return', load: () => import('./session/provider-return-page'), title: () => text.session.logInTitle },
  { path: '/verify', load: () => import('./session/verify-page'), title: () => text.session.verifyTitle },
  { path: '/password/forgot', load: () => import('./session/forgot-page'), title: () => text.session.forgotTitle },
  { path: '/password/reset', load: () => import('./session/reset-page'), title: () => text.session.resetTitle },
  { path: '/users/{username}', load: () => import('./profile/profile-page'), title: () => text.profile.title },
  { path: '/portfolio', load: () => import('./portfolio/portfolio-page'), title: () => text.portfolio.title, session: true, nav: 'account' },
  { path: '/trades', load: () => import('./trades/trades-page'), title: () => text.trades.title, session: true, nav: 'account' },
  { path: '/trades/new', load: () => import('./trades/new-trade-page'), title: () => text.trades.newTitle, session: true },
  { path: '/trades/swaps/new', load: () => import('./trades/new-swap-page'), title: () => text.swaps.propose, session: true },
  { path: '/trades/{trade}', load: () => import('./trades/trade-page'), title: () => text.trades.oneTitle, session: true },
  { path: '/wallet', load: () => import('./wallet/wallet-page'), title: () => text.wallet.title, session: true, nav: 'account' },
  { path: '/notifications', load: () => import('./notifications/notifications-page'), title: () => text.notifications.title, session: true, nav: 'account' },
  { path: '/activity', load: () => import('./profile/activity-page'), title: () => text.activity.title, session: true, nav: 'account' },
  { path: '/analytics', load: () => import('./analytics/analytics-page'), title: () => text.analytics.title, session: true, nav: 'account' },
  { path: '/operator', load: () => import('./operator/operator-page'), title: () => text.operation.title, session: true, nav: 'account', role: ['admin'] },
  { path: '/moderation', load: () => import('./moderation/moderation-page'), title: () => text.moderation.title, session: true, nav: 'account', role: ['admin', 'moderator'] },
  { path: '/settings/profile', load: () => import('./profile/own-profile-page'), title: () => text.profile.ownTitle, session: true, nav: 'account' },
  { path: '/settings', load: () => import('./account/settings-page'), title: () => text.account.settingsTitle, session: true, nav: 'account' },
  { path: '/settings/security', load: () => import('./account/security-page'), title: () => text.account.securityTitle, session: true, nav: 'account' },
  { path: '/settings/data', load: () => import('./account/data-page'), title: () => text.account.dataTitle, session: true, nav: 'account' },
  { path: '/mints', load: () => import('./mint/studio-page'), title: () => text.mint.title, session: true, nav: 'account' },
  { path: '/mints/{mint}', load: () => import('./mint/mint-page'), title: () => text.mint.one, session: true },
] // biome-ignore format: a table
