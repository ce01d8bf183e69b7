import '../styles/account.css'
import { useState } from 'react'
import { newKey } from '../server/key'
import { Problem } from '../server/problem'
import { rest } from '../server/rest'
import { logOut } from '../session/session'
import { moment, text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { PasswordField } from '../ui/field'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import { attempt, toast } from '../ui/toast'
import { Section } from './section'
import { useRepeated } from './use-repeated'

export default function DataPage() {
  return (
    <div className="account-page">
      <h1>{text.account.dataTitle}</h1>
      <Export />
      <Deletion />
    </div>
  )
}

const LOOK_EVERY_MS = 2_000

function Export() {
  const [asking, setAsking] = useState(false)
  const newest = useLoaded(
    (signal) =>
      rest('get', '/users/me/export', { signal }).catch((error: unknown) => {
        if (error instanceof Problem && error.status === 404) return null
        throw error
      }),
    [],
  )
  useRepeated(newest.again, LOOK_EVERY_MS, newest.value?.state === 'waiting')
  return (
    <Section title={text.account.export} about={text.account.exportAbout}>
      <Shown of={newest}>
        {(found) => (
          <>
            {found && (
              <p role="status">
                {text.account.exportStates[found.state]} {moment(found.finished_at ?? found.requested_at)}
              </p>
            )}
            <div className="buttons">
              {found?.state === 'ready' && (
                <a className="button primary" href={`/api/v1/users/me/export/${found.id}`} download>
                  {text.account.download}
                </a>
              )}
              {found?.state !== 'waiting' && (
                <Button onClick={() => setAsking(true)}>{text.account.newExport}</Button>
              )}
            </div>
          </>
        )}
      </Shown>
      {asking && (
        <PasswordDialog
          title={text.account.newExport}
          close={() => setAsking(false)}
          work={async (password) => {
            newest.set(await rest('post', '/users/me/export', { key: newKey(), body: { password } }))
          }}
        />
      )}
    </Section>
  )
}

function Deletion() {
  const [asking, setAsking] = useState(false)
  const state = useLoaded((signal) => rest('get', '/users/me/deletion', { signal }), [])
  const keep = async () => {
    await attempt(() => rest('delete', '/users/me/deletion'))
    state.again()
  }
  return (
    <Section title={text.account.deletion} about={text.account.deletionAbout}>
      <Shown of={state}>
        {({ due_at, blockers }) => (
          <>
            {blockers.length > 0 && (
              <div>
                <p>{text.account.blocked}</p>
                <ul className="plain">
                  {blockers.map((blocker) => (
                    <li key={blocker}>{text.account.blockers[blocker]}</li>
                  ))}
                </ul>
              </div>
            )}
            {due_at !== null && <p>{text.account.dueAt(moment(due_at))}</p>}
            <div className="buttons">
              {due_at === null ? (
                blockers.length === 0 && (
                  <Button className="danger" onClick={() => setAsking(true)}>
                    {text.account.deleteAccount}
                  </Button>
                )
              ) : (
                <Button onClick={() => void keep()}>{text.account.keepAccount}</Button>
              )}
            </div>
          </>
        )}
      </Shown>
      {asking && (
        <PasswordDialog
          title={text.account.deleteAccount}
          kind="warn"
          close={() => setAsking(false)}
          work={async (password) => {
            const { due_at } = await rest('post', '/users/me/deletion', { key: newKey(), body: { password } })
            toast(text.account.dueAt(moment(due_at)))
            // The server has ended every session.
            await logOut()
          }}
        >
          <p>{text.account.deleteSure}</p>
        </PasswordDialog>
      )}
    </Section>
  )
}

interface PasswordDialogProps {
  title: string
  kind?: 'warn'
  close: () => void
  work: (password: string) => Promise<void>
  children?: React.ReactNode
}

function PasswordDialog({ title, kind, close, work, children }: PasswordDialogProps) {
  return (
    <Dialog title={title} onClose={close}>
      {children}
      <Form
        submit={title}
        kind={kind ?? 'primary'}
        onSubmit={async (value) => {
          await work(value('password'))
          close()
        }}
      >
        <PasswordField
          name="password"
          label={text.account.currentPassword}
          autoComplete="current-password"
          first
        />
      </Form>
    </Dialog>
  )
}
