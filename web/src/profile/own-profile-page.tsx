import '../styles/account.css'
import { type ChangeEvent, useId, useState } from 'react'
import { Section } from '../account/section'
import { rest, type Schema, upload } from '../server/rest'
import { useSession } from '../session/use-session'
import { Link } from '../shell/link'
import { text } from '../text/text'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import { attempt, toast } from '../ui/toast'
import { Avatar } from './avatar'

export default function OwnProfilePage() {
  const username = useSession()?.username ?? ''
  const profile = useLoaded(
    (signal) => rest('get', '/users/{username}', { path: { username }, signal }),
    [username],
  )
  return (
    <div className="account-page">
      <h1>{text.profile.ownTitle}</h1>
      <Shown of={profile}>
        {(found) => (
          <>
            <Picture profile={found} changed={profile.set} />
            <Words profile={found} changed={profile.set} />
            <p>
              <Link href={`/users/${username}`}>{text.profile.asOthers}</Link>
            </p>
          </>
        )}
      </Shown>
    </div>
  )
}

interface Props {
  profile: Schema<'ProfileBody'>
  changed: (profile: Schema<'ProfileBody'>) => void
}

const TYPES = 'image/png,image/jpeg,image/webp,image/gif,image/avif'

function Picture({ profile, changed }: Props) {
  const [busy, setBusy] = useState(false)
  const id = useId()
  const set = (avatar: string | null) =>
    attempt(async () => {
      changed(await rest('patch', '/users/me/profile', { body: { avatar } }))
      toast(text.ui.saved)
    })
  const choose = async (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0]
    if (!file) return
    setBusy(true)
    await attempt(async () => set((await upload('/content', file)).cid))
    setBusy(false)
  }
  return (
    <Section title={text.profile.picture} about={text.profile.pictureAbout}>
      <div className="avatar-row">
        <Avatar of={profile} large />
        <div className="buttons">
          <label className="button" htmlFor={id}>
            {busy ? text.ui.working : text.profile.choosePicture}
          </label>
          <input
            id={id}
            className="visually-hidden"
            type="file"
            accept={TYPES}
            disabled={busy}
            onChange={(event) => void choose(event)}
          />
          {profile.avatar !== null && (
            <button className="button" type="button" onClick={() => void set(null)}>
              {text.profile.removePicture}
            </button>
          )}
        </div>
      </div>
    </Section>
  )
}

function Words({ profile, changed }: Props) {
  return (
    <Section title={text.profile.words} about={text.profile.wordsAbout}>
      <Form
        submit={text.ui.save}
        onSubmit={async (value) => {
          const body = {
            display_name: value('display_name').trim() || null,
            bio: value('bio').trim() || null,
          }
          changed(await rest('patch', '/users/me/profile', { body }))
          toast(text.ui.saved)
        }}
      >
        <Field
          name="display_name"
          label={text.profile.displayName}
          defaultValue={profile.display_name ?? ''}
          maxLength={40}
          required={false}
          autoComplete="nickname"
          autoCapitalize="words"
        />
        <label className="field">
          <span>{text.profile.bio}</span>
          <textarea name="bio" defaultValue={profile.bio ?? ''} maxLength={500} />
        </label>
      </Form>
    </Section>
  )
}
