import { useState } from 'react'
import { newKey } from '../server/key'
import { rest } from '../server/rest'
import { text } from '../text/text'
import { Field } from '../ui/field'
import { Form } from '../ui/form'
import { TextArea } from '../ui/text-area'
import { toast } from '../ui/toast'

/** The order to reverse a protected trade: the one that is given, or the one whose id is written down. */
export function Reversal({ trade, done }: { trade?: string; done?: () => void }) {
  const [order, setOrder] = useState(newKey)
  return (
    <Form
      key={order}
      kind="warn"
      submit={text.moderation.reverse}
      onSubmit={async (value) => {
        const path = { trade: trade ?? value('trade').trim() }
        const body = { reason: value('reason') }
        await rest('post', '/admin/trades/{trade}/reverse', { path, body, key: order })
        toast(text.moderation.reversing)
        setOrder(newKey())
        done?.()
      }}
    >
      {trade === undefined && (
        <Field
          name="trade"
          label={text.moderation.tradeId}
          hint={text.moderation.tradeIdHint}
          pattern="[0-9a-v]{13}"
        />
      )}
      <TextArea
        name="reason"
        label={text.moderation.reason}
        hint={text.moderation.reasonHint}
        maxLength={500}
        required
      />
    </Form>
  )
}
