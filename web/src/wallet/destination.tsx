import { useState } from 'react'
import { Link } from '../shell/link'
import { day, text } from '../text/text'
import { Field } from '../ui/field'
import { type LinkedWallet, OTHER } from './withdrawal'

/** Where to, in a form: one of the linked wallets, or an address that one types. `destinationOf` reads it. */
export function DestinationFields({ links }: { links: readonly LinkedWallet[] }) {
  const [chosen, setChosen] = useState(links[0]?.address ?? OTHER)
  const say = text.wallet
  if (links.length === 0)
    return (
      <>
        <div className="unlinked">
          <p>{say.noneToChoose}</p>
          <Link className="button" href="/wallet?tab=wallets">
            {say.toLink}
          </Link>
        </div>
        <TypedAddress />
      </>
    )
  return (
    <>
      <fieldset className="destinations">
        <legend>{say.whichWallet}</legend>
        {[...links, undefined].map((link) => {
          const value = link?.address ?? OTHER
          return (
            <label className="choice" key={value}>
              <input
                type="radio"
                name="destination"
                value={value}
                checked={value === chosen}
                onChange={() => setChosen(value)}
              />
              {link ? (
                <span className="what">
                  <code>{link.address}</code>
                  <span className="muted small">{say.linkedAt(day(link.linked_at))}</span>
                </span>
              ) : (
                say.otherAddress
              )}
            </label>
          )
        })}
      </fieldset>
      {chosen === OTHER && <TypedAddress />}
    </>
  )
}

function TypedAddress() {
  return (
    <Field
      name="address"
      label={text.wallet.destination}
      hint={text.wallet.destinationHint}
      autoComplete="off"
      maxLength={44}
    />
  )
}

/** Asked of whoever has typed an address: nobody else can know that it is the right one. */
export function Compared() {
  return (
    <label className="choice">
      <input type="checkbox" name="compared" required />
      {text.wallet.compared}
    </label>
  )
}
