import { Section } from '../account/section'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { isInstalled, useInstall } from './install'

/** The app in a window of its own. */
export function InstallSection() {
  const install = useInstall()
  return (
    <Section title={text.device.app} about={text.device.appAbout}>
      {isInstalled() ? (
        <p>{text.device.installed}</p>
      ) : install ? (
        <div>
          <Button onClick={() => void install()}>{text.device.install}</Button>
        </div>
      ) : (
        <p className="muted">{text.device.installByMenu}</p>
      )}
    </Section>
  )
}
