import { rest } from '../server/rest'
import { Dialog } from '../ui/dialog'
import { ProofForm } from './proof-form'

interface Props {
  title: string
  submit: string
  remove: () => Promise<unknown>
  onClose: () => void
}

/** To remove a way to log in, one proves who one is, as to add one. */
export function Removal({ title, submit, remove, onClose }: Props) {
  return (
    <Dialog title={title} onClose={onClose}>
      <ProofForm
        submit={submit}
        onSubmit={async (proof) => {
          // Who has neither password nor second factor has just logged in, or is told to.
          if (proof.code || proof.password) await rest('post', '/auth/second-factor/verify', { body: proof })
          await remove()
          onClose()
        }}
      />
    </Dialog>
  )
}
