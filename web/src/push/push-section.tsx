import { useEffect, useState } from 'react'
import { Section } from '../account/section'
import { rest } from '../server/rest'
import { moment, text } from '../text/text'
import { Button } from '../ui/button'
import { Shown, useLoaded } from '../ui/loaded'
import { attempt, toast } from '../ui/toast'
import { type Device, ownSubscription, type PushState, pushState, turnOff, turnOn } from './push'

/** Push messages to this browser, and the devices that get them. */
export function PushSection() {
  const [state, setState] = useState<PushState>()
  const [own, setOwn] = useState<string>()
  const [busy, setBusy] = useState(false)
  const devices = useLoaded((signal) => rest('get', '/users/me/push-subscriptions', { signal }), [])
  const look = async () => {
    setState(await pushState())
    setOwn((await ownSubscription())?.endpoint)
  }
  // biome-ignore lint/correctness/useExhaustiveDependencies: once; then after each change
  useEffect(() => void look(), [])
  const change = async (work: () => Promise<void>) => {
    setBusy(true)
    await attempt(work)
    await look()
    devices.again()
    setBusy(false)
  }
  const begin = () =>
    change(async () => {
      const allowed = await turnOn().catch((error: unknown) => {
        // What the browser itself refuses is no problem of the engine.
        if (error instanceof DOMException) toast(text.device.pushFailed, true)
        else throw error
      })
      if (allowed) toast(text.device.pushTurnedOn)
    })
  const known = devices.value?.items.some(({ endpoint }) => endpoint === own) ?? false
  return (
    <Section title={text.device.push} about={text.device.pushAbout}>
      {state === 'missing' && <p>{text.device.pushMissing}</p>}
      {state === 'blocked' && <p>{text.device.pushBlocked}</p>}
      {(state === 'off' || (state === 'on' && !known)) && (
        <div>
          <p className="push-why">{text.device.pushWhy}</p>
          <Button kind="primary" busy={busy} onClick={() => void begin()}>
            {text.device.pushTurnOn}
          </Button>
        </div>
      )}
      <Shown of={devices}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="muted">{text.device.noDevices}</p>
          ) : (
            <Devices items={items} own={own} remove={(one) => void change(() => turnOff(one))} />
          )
        }
      </Shown>
    </Section>
  )
}

function Devices(props: { items: Device[]; own: string | undefined; remove: (one: Device) => void }) {
  const { items, own, remove } = props
  return (
    <ul className="rows" aria-label={text.device.devices}>
      {items.map((one) => (
        <li key={one.id}>
          <span className="what">
            <span>
              {one.device}
              {one.endpoint === own && <span className="tag good">{text.account.thisOne}</span>}
            </span>
            <span className="muted small">{text.account.addedAt(moment(one.created_at))}</span>
          </span>
          <Button onClick={() => remove(one)} aria-label={`${text.account.remove}: ${one.device}`}>
            {text.account.remove}
          </Button>
        </li>
      ))}
    </ul>
  )
}
