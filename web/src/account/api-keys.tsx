import { useState } from 'react'
import { rest, type Schema } from '../server/rest'
import { day, text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import { attempt } from '../ui/toast'
import { Section } from './section'

// What a bot of a collector needs; the rest is for those who operate the engine, over the API.
const SCOPES = [
  'account.read',
  'account.write',
  'bid',
  'list',
  'trade',
  'deposit',
  'withdraw',
  'mint',
] as const
const DAY_MS = 86_400_000
const DAYS = [7, 30, 90, 365] as const

export function ApiKeys() {
  const keys = useLoaded((signal) => rest('get', '/api-keys', { signal }), [])
  const [making, setMaking] = useState(false)
  const close = () => {
    setMaking(false)
    keys.again()
  }
  const revoke = async (key_id: string) => {
    await attempt(() => rest('delete', '/api-keys/{key_id}', { path: { key_id } }))
    keys.again()
  }
  return (
    <Section title={text.account.apiKeys} about={text.account.apiKeysAbout}>
      <Shown of={keys}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="muted">{text.account.noApiKeys}</p>
          ) : (
            <ul className="rows" aria-label={text.account.apiKeys}>
              {items.map((key) => (
                <Key key={key.id} of={key} revoke={() => void revoke(key.id)} />
              ))}
            </ul>
          )
        }
      </Shown>
      <div className="buttons">
        <Button onClick={() => setMaking(true)}>{text.account.newApiKey}</Button>
      </div>
      {making && <NewKey close={close} />}
    </Section>
  )
}

function Key({ of, revoke }: { of: Schema<'ApiKeyItem'>; revoke: () => void }) {
  return (
    <li>
      <span className="what">
        <span>
          {of.name} <code className="muted">{of.prefix}…</code>
        </span>
        <span className="muted small">
          {of.scopes
            .map((scope) => text.account.scopes[scope as keyof typeof text.account.scopes] ?? scope)
            .join(', ')}{' '}
          · {text.account.expiresAt(day(of.expires_at))}
        </span>
      </span>
      <Button onClick={revoke} aria-label={`${text.account.revoke}: ${of.name}`}>
        {text.account.revoke}
      </Button>
    </li>
  )
}

function NewKey({ close }: { close: () => void }) {
  const [key, setKey] = useState<string>()
  const [copied, setCopied] = useState(false)
  if (key !== undefined) {
    return (
      <Dialog title={text.account.newApiKey} onClose={close}>
        <p>{text.account.keyOnce}</p>
        <code className="secret">{key}</code>
        <div className="buttons">
          <Button onClick={() => void navigator.clipboard.writeText(key).then(() => setCopied(true))}>
            {copied ? text.ui.copied : text.ui.copy}
          </Button>
          <Button kind="primary" onClick={close}>
            {text.account.keyKept}
          </Button>
        </div>
      </Dialog>
    )
  }
  return (
    <Dialog title={text.account.newApiKey} onClose={close}>
      <Form
        submit={text.account.newApiKey}
        onSubmit={async (value) => {
          const scopes = SCOPES.filter((scope) => value(scope) === 'on')
          const expires_in_ms = Number(value('days')) * DAY_MS
          const made = await rest('post', '/api-keys', {
            body: { name: value('name'), scopes, expires_in_ms, networks: [] },
          })
          setKey(made.key)
        }}
      >
        <Field name="name" label={text.account.keyName} maxLength={60} first />
        <fieldset>
          <legend className="field">{text.account.keyMay}</legend>
          {SCOPES.map((scope) => (
            <label key={scope} className="choice">
              <input type="checkbox" name={scope} defaultChecked={scope === 'account.read'} />
              {text.account.scopes[scope]}
            </label>
          ))}
        </fieldset>
        <label className="field">
          <span>{text.account.keyDays}</span>
          <select name="days" defaultValue="90">
            {DAYS.map((days) => (
              <option key={days} value={days}>
                {text.account.days(days)}
              </option>
            ))}
          </select>
        </label>
      </Form>
    </Dialog>
  )
}
