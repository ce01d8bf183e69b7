import { useState } from 'react'
import { rest, type Schema } from '../server/rest'
import { text } from '../text/text'
import { Button } from '../ui/button'
import { Dialog } from '../ui/dialog'
import { CodeField, PasswordField } from '../ui/field'
import { Form } from '../ui/form'
import { Shown, useLoaded } from '../ui/loaded'
import { QrCode } from './qr-code'
import { Section } from './section'

type Step =
  | { kind: 'password' }
  | { kind: 'code'; made: Schema<'NewFactor'> }
  | { kind: 'codes'; codes: string[] }
  | { kind: 'off' }

/** The authenticator app: enrolling it, its recovery codes, and going without it. */
export function SecondFactor() {
  const state = useLoaded((signal) => rest('get', '/auth/second-factor', { signal }), [])
  const [step, setStep] = useState<Step>()
  const close = () => {
    setStep(undefined)
    state.again()
  }
  return (
    <Section title={text.account.factor} about={text.account.factorAbout}>
      <Shown of={state}>
        {(now) =>
          now.state === 'on' ? (
            <>
              <p>
                <span className="tag good first">{text.account.factorOn}</span>{' '}
                {text.account.codesLeft(now.recovery_codes_left)}
              </p>
              <div className="buttons">
                <Button className="danger" onClick={() => setStep({ kind: 'off' })}>
                  {text.account.factorTurnOff}
                </Button>
              </div>
            </>
          ) : (
            <div className="buttons">
              <Button kind="primary" onClick={() => setStep({ kind: 'password' })}>
                {text.account.factorTurnOn}
              </Button>
            </div>
          )
        }
      </Shown>
      {step && (
        <Dialog title={text.account.factor} onClose={close}>
          <Steps step={step} go={setStep} close={close} />
        </Dialog>
      )}
    </Section>
  )
}

function Steps({ step, go, close }: { step: Step; go: (step: Step) => void; close: () => void }) {
  switch (step.kind) {
    case 'password':
      return (
        <Form
          submit={text.account.next}
          onSubmit={async (value) => {
            const body = { password: value('password') }
            go({ kind: 'code', made: await rest('post', '/auth/second-factor', { body }) })
          }}
        >
          <PasswordField
            name="password"
            label={text.account.currentPassword}
            autoComplete="current-password"
            first
          />
        </Form>
      )
    case 'code':
      return <Enrol made={step.made} enrolled={(codes) => go({ kind: 'codes', codes })} />
    case 'codes':
      return <RecoveryCodes codes={step.codes} close={close} />
    case 'off':
      return (
        <Form
          submit={text.account.factorTurnOff}
          kind="warn"
          onSubmit={async (value) => {
            await rest('post', '/auth/second-factor/disable', { body: { code: value('code').trim() } })
            close()
          }}
        >
          <CodeField label={text.session.code} hint={text.session.codeHint} first />
        </Form>
      )
  }
}

function Enrol({ made, enrolled }: { made: Schema<'NewFactor'>; enrolled: (codes: string[]) => void }) {
  return (
    <>
      <p>{text.account.scan}</p>
      <QrCode text={made.uri} label={text.account.qrLabel} />
      <details>
        <summary>{text.account.cannotScan}</summary>
        <code className="secret">{made.secret.match(/.{1,4}/g)?.join(' ')}</code>
      </details>
      <Form
        submit={text.session.confirm}
        onSubmit={async (value) => {
          const body = { code: value('code').trim() }
          enrolled((await rest('post', '/auth/second-factor/confirm', { body })).recovery_codes)
        }}
      >
        <CodeField label={text.account.codeShown} inputMode="numeric" first />
      </Form>
    </>
  )
}

function RecoveryCodes({ codes, close }: { codes: string[]; close: () => void }) {
  const [copied, setCopied] = useState(false)
  return (
    <>
      <p>{text.account.recoveryAbout}</p>
      <ul className="codes number">
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <div className="buttons">
        <Button
          onClick={() => void navigator.clipboard.writeText(codes.join('\n')).then(() => setCopied(true))}
        >
          {copied ? text.ui.copied : text.ui.copy}
        </Button>
        <Button kind="primary" onClick={close}>
          {text.account.codesKept}
        </Button>
      </div>
    </>
  )
}
