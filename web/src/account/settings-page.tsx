import '../styles/account.css'
import { PushSection } from '../push/push-section'
import { QuietHours } from '../push/quiet-hours'
import { chooseTheme, type ThemeChoice, useThemeChoice } from '../shell/theme'
import { chooseLocale, LOCALES, type Locale, useLocale } from '../text/locale'
import { text } from '../text/text'
import { attempt } from '../ui/toast'
import { InstallSection } from '../worker/install-section'
import { BidLimit } from './bid-limit'
import { NotificationPreferences } from './notification-preferences'
import { Privacy } from './privacy'
import { Section } from './section'

const THEMES: readonly ThemeChoice[] = ['system', 'light', 'dark']

export default function SettingsPage() {
  return (
    <div className="account-page">
      <h1>{text.account.settingsTitle}</h1>
      <Appearance />
      <BidLimit />
      <NotificationPreferences />
      <PushSection />
      <QuietHours />
      <Privacy />
      <InstallSection />
    </div>
  )
}

/** Of this browser: kept here. */
function Appearance() {
  const theme = useThemeChoice()
  const locale = useLocale()
  return (
    <Section title={text.account.appearance} about={text.account.appearanceAbout}>
      <div className="field-row">
        <label className="field">
          <span>{text.shell.theme}</span>
          <select value={theme} onChange={(event) => chooseTheme(event.target.value as ThemeChoice)}>
            {THEMES.map((one) => (
              <option key={one} value={one}>
                {text.account.themes[one]}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          <span>{text.shell.language}</span>
          <select
            value={locale}
            onChange={(event) => void attempt(() => chooseLocale(event.target.value as Locale))}
          >
            {Object.entries(LOCALES).map(([key, name]) => (
              <option key={key} value={key} lang={key}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
    </Section>
  )
}
