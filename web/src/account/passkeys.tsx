import { useState } from 'react'
import { rest } from '../server/rest'
import { addPasskey, passkeysWork } from '../session/passkeys'
import { day, text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { Field } from '../ui/field'
import { Shown, useLoaded } from '../ui/loaded'
import { ProofForm } from './proof-form'
import { Removal } from './removal'
import { Section } from './section'

export function Passkeys() {
  const passkeys = useLoaded((signal) => rest('get', '/auth/passkeys', { signal }), [])
  const [adding, setAdding] = useState(false)
  const [removing, setRemoving] = useState<{ id: string; name: string }>()
  const close = () => {
    setAdding(false)
    setRemoving(undefined)
    passkeys.again()
  }
  return (
    <Section title={text.account.passkeys} about={text.account.passkeysAbout}>
      <Shown of={passkeys}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="muted">{text.account.noPasskeys}</p>
          ) : (
            <ul className="rows" aria-label={text.account.passkeys}>
              {items.map(({ id, name, created_at, used_at }) => (
                <li key={id}>
                  <span className="what">
                    <span>{name}</span>
                    <span className="muted small">
                      {text.account.addedAt(day(created_at))}
                      {used_at !== null && <> · {text.account.usedAt(day(used_at))}</>}
                    </span>
                  </span>
                  <Button
                    onClick={() => setRemoving({ id, name })}
                    aria-label={`${text.account.remove}: ${name}`}
                  >
                    {text.account.remove}
                  </Button>
                </li>
              ))}
            </ul>
          )
        }
      </Shown>
      {passkeysWork() ? (
        <div className="buttons">
          <Button onClick={() => setAdding(true)}>{text.account.addPasskey}</Button>
        </div>
      ) : (
        <p className="muted small">{text.account.passkeysNeedName}</p>
      )}
      {removing && (
        <Removal
          title={`${text.account.remove}: ${removing.name}`}
          submit={text.account.remove}
          remove={() => rest('delete', '/auth/passkeys/{passkey}', { path: { passkey: removing.id } })}
          onClose={close}
        />
      )}
      {adding && (
        <Dialog title={text.account.addPasskey} onClose={close}>
          <ProofForm
            submit={text.account.addPasskey}
            onSubmit={async (proof, value) => {
              await addPasskey(value('name'), proof)
              close()
            }}
          >
            <Field
              name="name"
              label={text.account.passkeyName}
              hint={text.account.passkeyNameHint}
              maxLength={60}
              first
            />
          </ProofForm>
        </Dialog>
      )}
    </Section>
  )
}
