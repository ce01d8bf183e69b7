import { rest, upload } from '../server/rest'
import { copiesOf, type Draft, type DraftState } from './draft'

export interface CardSet {
  name: string
  code: string
}

/** File, card, mint: each step under its key. Tells how far it is; never rejects. */
export async function mintDraft(
  draft: Draft,
  set: CardSet,
  tell: (state: DraftState) => void,
): Promise<void> {
  const { file, keys } = draft
  try {
    tell({ kind: 'uploading', part: 0 })
    const progress = (part: number) => tell({ kind: 'uploading', part })
    const stored = await upload('/content', file, { key: keys.upload, progress })
    tell({ kind: 'creating' })
    const count = copiesOf(draft) ?? 1
    const card = await rest('post', '/catalog/cards', {
      key: keys.card,
      body: {
        set: set.code,
        set_name: set.name,
        number: draft.number.trim(),
        name: draft.name.trim(),
        rarity: draft.rarity,
        description: '',
        traits: {},
        images: [stored.uri],
      },
    })
    const body = { card: card.id, count, standard: 'token-2022' as const }
    const mint = await rest('post', '/mints', { key: keys.mint, body })
    tell({ kind: 'minting', mint: mint.id, image: `/content/${stored.cid}` })
  } catch (error) {
    tell({ kind: 'failed', error })
  }
}
